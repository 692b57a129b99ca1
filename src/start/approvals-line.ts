// agentkeys-broker approvals …: its part of the command line.

export type ApprovalsLine =
  | { verb: 'list'; all: boolean; json: boolean }
  | { verb: 'approve' | 'deny'; id: string; reason: string | undefined }

export const APPROVALS_USAGE =
  'agentkeys-broker approvals list [--all] [--json] | approve ID [--reason TEXT] | deny ID [--reason TEXT]'

export class WrongApprovalsLine extends Error {}

interface ApprovalsValues {
  all?: boolean | undefined
  json?: boolean | undefined
  reason?: string | undefined
}

export function parseApprovalsLine(rest: readonly string[], values: ApprovalsValues): ApprovalsLine {
  const [verb, id, ...more] = rest
  const { all = false, json = false, reason } = values
  if (more.length > 0) throw wrong()
  switch (verb) {
    case 'list':
      if (id !== undefined || reason !== undefined) throw wrong()
      return { verb, all, json }
    case 'approve':
    case 'deny':
      if (id === undefined || all || json) throw wrong()
      return { verb, id, reason }
    default:
      throw wrong()
  }
}

function wrong(): WrongApprovalsLine {
  return new WrongApprovalsLine(`expected ${APPROVALS_USAGE.replace('agentkeys-broker ', '')}`)
}

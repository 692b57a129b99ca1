import { statSync } from 'node:fs'

/**
 * What to do about a file or folder that could not be opened or made at `path`, by the system's code; undefined where
 * neither owner, mode nor space is the matter. The owner comes first: a chmod does not help a file of another user.
 */
export function accessRemedy(path: string, code: string | undefined): string | undefined {
  switch (code) {
    case 'EACCES':
    case 'EPERM': {
      const [owner, user] = [ownerOf(path), process.geteuid?.()]
      return owner === undefined || owner === user
        ? 'make it writable for this user, with chmod u+rw (a folder: u+rwx), and every folder above it passable'
        : `it belongs to user ${owner}, and this process runs as user ${user}: chown it`
    }
    case 'EROFS':
      return 'it is on a file system that is mounted read-only: mount it read-write, or name another path'
    case 'ENOSPC':
    case 'EDQUOT':
      return 'its disk or quota is full: make space'
    case 'EISDIR':
      return 'a folder is in the place of the file: move it away'
    case 'ENOTDIR':
      return 'a file is in the place of a folder on the way to it: move it away'
    default:
      return undefined
  }
}

/** Undefined where it is not there, or in a folder that may not be looked into. */
function ownerOf(path: string): number | undefined {
  try {
    return statSync(path).uid
  } catch {
    return undefined
  }
}

// The stand-in's calls beside the streams: what the node can do, who leads, and user management.

import gossip from '@eventstore/db-client/generated/gossip_pb.js'
import serverFeatures from '@eventstore/db-client/generated/serverfeatures_pb.js'
import users from '@eventstore/db-client/generated/users_pb.js'
import type { MemberInfo } from '@eventstore/db-client/generated/gossip_pb.js'
import type { IUsersServer } from '@eventstore/db-client/generated/users_grpc_pb.js'
import { type sendUnaryData, status, type UntypedServiceImplementation } from '@grpc/grpc-js'

import * as wire from './messages.js'
import { authorization, type Node } from './node.js'

/**
 * BatchAppend is advertised, as every server since 21.10 does, so that a client which would choose it is caught:
 * the stand-in answers it with UNIMPLEMENTED and `calls` shows it.
 */
export function featureCalls(node: Node): UntypedServiceImplementation {
  return {
    getSupportedMethods: (_call: unknown, callback: sendUnaryData<unknown>) => {
      node.calls.push('features')
      const methods = new serverFeatures.SupportedMethods().setEventStoreServerVersion('24.10.0')
      for (const name of ['read', 'append', 'batchappend']) {
        const method = new serverFeatures.SupportedMethod().setMethodName(name)
        methods.addMethods(method.setServiceName('event_store.client.streams.streams'))
      }
      callback(null, methods)
    },
  }
}

export function gossipCalls(
  node: Node,
  me: () => { host: string; port: number },
): UntypedServiceImplementation {
  const { LEADER, FOLLOWER } = gossip.MemberInfo.VNodeState
  return {
    read: (_call: unknown, callback: sendUnaryData<unknown>) => {
      node.calls.push('gossip')
      const info = new gossip.ClusterInfo()
      info.addMembers(member(me(), node.leader ? FOLLOWER : LEADER))
      if (node.leader) info.addMembers(member(node.leader, LEADER))
      callback(null, info)
    },
  }
}

function member(
  at: { host: string; port: number },
  state: MemberInfo['getState'] extends () => infer S ? S : never,
) {
  const endPoint = new gossip.EndPoint().setAddress(at.host).setPort(at.port)
  const info = new gossip.MemberInfo().setHttpEndPoint(endPoint).setIsAlive(true).setState(state)
  return info.setInstanceId(wire.uuid(crypto.randomUUID())).setTimeStamp('1')
}

/** Create, ResetPassword and Details, for administrators. The rest of user management is not modelled. */
export function userCalls(node: Node): Pick<IUsersServer, 'create' | 'resetPassword' | 'details'> {
  return {
    details: (call) => {
      const name = call.request.getOptions()?.getLoginName() ?? ''
      const refusal = refusalToManage(node, authorization(call))
      if (refusal) return void call.emit('error', refusal)
      if (!node.access.users?.has(name)) return void call.emit('error', userNotFound(name))
      const details = new users.DetailsResp.UserDetails().setLoginName(name)
      call.write(new users.DetailsResp().setUserDetails(details))
      call.end()
    },
    create: (call, callback) => {
      const options = call.request.getOptions()
      const refusal = refusalToManage(node, authorization(call))
      if (refusal || !options) return callback(refusal ?? wire.failure(status.INVALID_ARGUMENT, 'options'))
      const name = options.getLoginName()
      // Idempotent, as seen with real servers.
      if (node.access.users?.get(name)?.password === options.getPassword())
        return callback(null, new users.CreateResp())
      if (node.access.users?.has(name)) {
        const trailers = { exception: 'user-conflict', 'login-name': name }
        return callback(wire.failure(status.FAILED_PRECONDITION, `User '${name}' already exists.`, trailers))
      }
      node.access.users?.set(name, { password: options.getPassword(), groups: options.getGroupsList() })
      callback(null, new users.CreateResp())
    },
    resetPassword: (call, callback) => {
      const options = call.request.getOptions()
      const refusal = refusalToManage(node, authorization(call))
      if (refusal || !options) return callback(refusal ?? wire.failure(status.INVALID_ARGUMENT, 'options'))
      const name = options.getLoginName()
      const user = node.access.users?.get(name)
      if (!user) return callback(userNotFound(name))
      user.password = options.getNewPassword()
      callback(null, new users.ResetPasswordResp())
    },
  }
}

function userNotFound(name: string) {
  const trailers = { exception: 'user-not-found', 'login-name': name }
  return wire.failure(status.NOT_FOUND, `User '${name}' is not found.`, trailers)
}

function refusalToManage(node: Node, from: string | undefined) {
  if (!node.access.isKnown(from)) return wire.refusal('unauthenticated')
  return node.access.isAdmin(from) ? undefined : wire.refusal('denied')
}

import { types } from 'node:util'

// Jest runs a test file in a realm of its own, where an error of node:net is not `instanceof Error`: libraries that ask
// (the AWS SDK does, and then drops the error's code) behave as they never do in production. To be imported first.

const ask = Function.prototype[Symbol.hasInstance]

Object.defineProperty(Error, Symbol.hasInstance, {
  value(this: unknown, value: unknown): boolean {
    return ask.call(this as never, value) || (this === Error && types.isNativeError(value))
  },
})

import { describe, expect, test } from '@jest/globals'

import {
  boolean,
  fieldsOf,
  integer,
  listOf,
  matching,
  oneOf,
  Optional,
  readFields,
  Required,
  text,
} from './fields.js'

class Inner {
  @Required(boolean)
  on!: boolean
}

class Ask {
  @Required(text(1, 3))
  name!: string
  @Optional(integer(1))
  count?: number
  @Optional(matching(/^a+$/, 'a, once or more'))
  letters?: string
  @Optional(oneOf(['x', 'y']))
  kind?: string
  @Optional(listOf(/^b$/, 'a b', 2))
  list?: string[]
  @Optional(fieldsOf(Inner))
  inner?: Inner
}

/** What is wrong with a body, `name` being good unless it is given. */
function problems(body: object): string[] {
  const reading = readFields(Ask, { name: 'abc', ...body })
  return 'read' in reading ? [] : reading.problems.map((problem) => problem.text)
}

describe('the fields of a body', () => {
  test('become an instance that has them and nothing else', () => {
    const body = { name: 'abc', count: 1, letters: 'aa', kind: 'y', list: ['b', 'b'], inner: { on: false } }
    const reading = readFields(Ask, body)
    expect(reading).toEqual({ read: body })
    expect(reading).toMatchObject({ read: expect.any(Ask) })
  })

  test.each([
    ['left out, of a required one', { name: undefined }, 'name is missing'],
    ['too short', { name: '' }, 'name must be a string of 1 to 3 characters'],
    ['too long', { name: 'abcd' }, 'name must be a string of 1 to 3 characters'],
    ['null, of an optional one', { count: null }, 'count must be a whole number, 1 or more'],
    ['a number in a text', { count: '1' }, 'count must be a whole number, 1 or more'],
    ['a fraction', { count: 1.5 }, 'count must be a whole number, 1 or more'],
    ['too small', { count: 0 }, 'count must be a whole number, 1 or more'],
    ['of another pattern', { letters: 'ab' }, 'letters must be a, once or more'],
    ['of the pattern, with a line break behind it', { letters: 'a\n' }, 'letters must be a, once or more'],
    ['given twice in a query', { letters: ['a', 'a'] }, 'letters must be a, once or more'],
    ['not one of the set', { kind: 'z' }, 'kind must be one of x, y'],
    ['no list', { list: 'b' }, 'list must be a list of at most 2 values, each a b'],
    [
      'a list with too many values',
      { list: ['b', 'b', 'b'] },
      'list must be a list of at most 2 values, each a b',
    ],
    ['a list with another value', { list: [1] }, 'list must be a list of at most 2 values, each a b'],
    ['null for an object', { inner: null }, 'inner must be an object'],
    ['a list for an object', { inner: [] }, 'inner must be an object'],
    ['an object without its field', { inner: {} }, 'inner: on is missing'],
    ['an object whose field is wrong', { inner: { on: 1 } }, 'inner: on must be true or false'],
    [
      'an object with a field more',
      { inner: { on: true, off: 1 } },
      'inner: there is no field off; the fields are on',
    ],
    ['under a mistyped name', { conut: 1 }, 'there is no field conut: did you mean count?'],
    ['under a name in another case', { Count: 1 }, 'there is no field Count: did you mean count?'],
    ['under a part of the name', { let: 'a' }, 'there is no field let: did you mean letters?'],
  ])('a value that is %s is refused in one sentence', (_what, body, sentence) => {
    expect(problems(body)).toEqual([sentence])
  })

  test.each([['other'], ['constructor'], ['prototype'], ['toString'], ['__proto__']])(
    'a field called %s is refused, and marked as the text of the caller',
    (undeclared) => {
      const body = JSON.parse(`{"name":"abc","${undeclared}":1}`) as object
      expect(readFields(Ask, body)).toEqual({
        problems: [{ undeclared, text: expect.stringMatching(`^there is no field ${undeclared}`) }],
      })
    },
  )
})

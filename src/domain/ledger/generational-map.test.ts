import { expect, test } from '@jest/globals'

import { GenerationalMap, type GenerationalMapIds } from './generational-map.js'

test('keeps at least the last `limit` keys and at most twice as many', () => {
  const recent = new GenerationalMap<number>(3)
  for (const [value, key] of [...'abcdefg'].entries()) recent.set(key, value)
  expect([...'abcdefg'].filter((key) => recent.has(key))).toEqual([...'defg'])
  expect(recent.get('e')).toBe(4)
  expect(recent.get('a')).toBeUndefined()
})

test('remembers the greatest key it forgot, in whatever order they came', () => {
  const recent = new GenerationalMap<true>(2)
  for (const key of ['z', 'a', 'b', 'c']) recent.set(key, true)
  expect(recent.forgotten).toBe('')
  for (const key of ['d', 'e', 'f']) recent.set(key, true)
  expect(recent.forgotten).toBe('z')
})

test('a key that was deleted is not missed', () => {
  const recent = new GenerationalMap<true>(2)
  for (const key of ['a', 'b', 'c']) recent.set(key, true)
  recent.delete('a')
  recent.delete('c')
  expect(['a', 'b', 'c'].map((key) => recent.has(key))).toEqual([false, true, false])
})

test('keys in no order are all known, and still are when they were read again', () => {
  const keys = ['m', 'c', 'z', 'a', 'y']
  const recent = new GenerationalMap<true>(3)
  for (const key of keys) recent.set(key, true)
  const [read, readIds] = [new GenerationalMap<true>(3), new GenerationalMap<true>(3)]
  read.restore(recent.state())
  readIds.restoreIds(recent.ids(), true)
  for (const one of [recent, read, readIds])
    expect([...keys, 'b', 'zz'].map((key) => one.has(key))).toEqual([
      true,
      true,
      true,
      true,
      true,
      false,
      false,
    ])
})

test('what is remembered can be written down and read again', () => {
  const recent = new GenerationalMap<true>(2)
  const read = new GenerationalMap<true>(2)
  read.set('z', true)
  read.restoreIds(recent.ids(), true)
  expect(read.state()).toEqual({ forgotten: '', old: [], young: [] })
  for (const id of ['a', 'b', 'c', 'd', 'e']) recent.set(id, true)
  read.restoreIds(JSON.parse(JSON.stringify(recent.ids())) as GenerationalMapIds, true)
  for (const one of [recent, read]) one.set('f', true)
  for (const one of [recent, read]) one.set('g', true)
  expect(read.state()).toEqual(recent.state())
  expect(read.forgotten).toBe('d')
})

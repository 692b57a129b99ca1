import { expect, test } from '@jest/globals'
import { XMLValidator } from 'fast-xml-parser'

import { escapeXml, xmlDocument, xmlError } from './xml.js'

test('elements come in order, with the namespace on the root, and undefined ones not at all', () => {
  expect(xmlDocument('A', { B: 1, C: undefined, D: { E: 'x' }, F: '' })).toBe(
    '<A xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><B>1</B><D><E>x</E></D><F></F></A>\n',
  )
})

test.each([
  ['<a href="x">&\'', '&lt;a href=&quot;x&quot;&gt;&amp;&apos;'],
  [']]>', ']]&gt;'],
  ['\u0000\u0008\u000b\u001f', '\ufffd'.repeat(4)],
  ['\t\n', '\t\n'],
  ['\r', '&#13;'],
  ['\ud800', '\ufffd'],
  ['\ufffe', '\ufffd'],
  ['ü😀', 'ü😀'],
])('%j is written as %j', (text, expected) => {
  expect(escapeXml(text)).toBe(expected)
})

test('any text at all makes a well-formed document', () => {
  const text = Array.from({ length: 0x3000 }, (_, code) => String.fromCharCode(code)).join('')
  expect(XMLValidator.validate(xmlError({ code: 'AccessDenied', status: 403, message: text }, 'id'))).toBe(
    true,
  )
})

test('an error is the sender’s below 500 and the receiver’s from there on', () => {
  const type = (status: number) =>
    /<Type>(.*)<\/Type>/.exec(xmlError({ code: 'X', status, message: '' }, 'id'))?.[1]
  expect([type(400), type(403), type(500), type(503)]).toEqual(['Sender', 'Sender', 'Receiver', 'Receiver'])
})

import { expect, test } from '@jest/globals'

import { terminalPicture } from './picture.js'

test('the picture has the chosen steps only, escaped, and no line wider than itself', () => {
  const picture = terminalPicture([
    'A first line',
    '',
    '2. Not chosen',
    '   ✓ left out',
    '',
    '3. Chosen <b> & c',
    '   why',
    '   ✓ held',
    `     ${'x'.repeat(200)}`,
    '',
  ])
  const texts = [...picture.matchAll(/<text [^>]*class="(\w+)">([^<]*)<\/text>/g)].map(([, ...each]) => each)
  expect(texts).toEqual([
    ['title', '3. Chosen &lt;b&gt; &amp; c'],
    ['why', '   why'],
    ['holds', '   ✓ held'],
    ['fact', `     ${'x'.repeat(112)}…`],
  ])
})

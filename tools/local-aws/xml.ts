// XML as small as STS and S3 need it: elements with text or elements in them, no attributes but xmlns.

const STS_NAMESPACE = 'https://sts.amazonaws.com/doc/2011-06-15/'

/** Text, or elements in order. An undefined element is left out, a list is the element once for each of its items. */
export type Content =
  string | number | { readonly [element: string]: Content | readonly Content[] | undefined }

/** `<name>content</name>`, with a namespace on the root. */
export function xmlDocument(root: string, content: Content, namespace = STS_NAMESPACE): string {
  return `<${root} xmlns="${namespace}">${xmlContent(content)}</${root}>\n`
}

function xmlContent(content: Content): string {
  if (typeof content !== 'object') return escapeXml(String(content))
  let text = ''
  for (const [name, inner] of Object.entries(content)) {
    const items: readonly Content[] = isList(inner) ? inner : inner === undefined ? [] : [inner]
    for (const item of items) text += `<${name}>${xmlContent(item)}</${name}>`
  }
  return text
}

/** Array.isArray does not narrow a readonly array. */
function isList(value: Content | readonly Content[] | undefined): value is readonly Content[] {
  return Array.isArray(value)
}

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
}

/** XML 1.0 has no way to write most control characters or a lone surrogate, not even escaped: they become U+FFFD. */
export function escapeXml(text: string): string {
  return (
    text
      .toWellFormed()
      // eslint-disable-next-line no-control-regex -- the characters XML 1.0 section 2.2 leaves out
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '\ufffd')
      .replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character)
      // A parser turns a bare CR into LF (section 2.11).
      .replaceAll('\r', '&#13;')
  )
}

/** The body of every refusal. */
export function xmlError(
  error: { code: string; status: number; message: string },
  requestId: string,
): string {
  const type = error.status >= 500 ? 'Receiver' : 'Sender'
  return xmlDocument('ErrorResponse', {
    Error: { Type: type, Code: error.code, Message: error.message },
    RequestId: requestId,
  })
}

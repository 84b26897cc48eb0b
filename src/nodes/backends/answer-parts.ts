/** What one line or chunk says. */
export interface Said {
  readonly text: string
  readonly thinking: string
  /** The text is the model's refusal to answer. */
  readonly isRefusal?: boolean
}

const nothing: Said = { text: '', thinking: '' }
/** How deep parts may lie in parts. */
const NESTED = 3

type Fields = Readonly<Record<string, unknown>>

/**
 * Reads the `content` of a message: a text, null, or a list of parts, of which those of thinking are thinking and those of text are
 * text. Other parts (images, references) say nothing. Undefined for what can be no content.
 */
export function saidIn(content: unknown, depth = 0): Said | undefined {
  if (typeof content === 'string') return content === '' ? nothing : { text: content, thinking: '' }
  if (content === undefined || content === null) return nothing
  if (typeof content !== 'object' || depth > NESTED) return undefined
  if (!Array.isArray(content)) return saidByPart(content as Fields, depth)
  let [text, thinking, isRefusal] = ['', '', false]
  for (const part of content) {
    const said = saidIn(part, depth + 1)
    if (said === undefined) return undefined
    text += said.text
    thinking += said.thinking
    isRefusal ||= said.isRefusal === true
  }
  return { text, thinking, ...(isRefusal && { isRefusal }) }
}

function saidByPart(part: Fields, depth: number): Said | undefined {
  const kind = typeof part.type === 'string' ? part.type : 'text'
  if (/think|reason/i.test(kind)) return { text: '', thinking: thinkingIn(part, depth) }
  if (kind === 'refusal') return { ...nothing, text: textIn(part.refusal ?? part.text), isRefusal: true }
  if (!/text/i.test(kind)) return nothing
  const { text = part.content } = part
  return text === undefined || text === null ? nothing : saidIn(typeof text === 'object' ? textIn(text) : text)
}

/** Parts of thinking have their text under one of several names, or in parts of their own. */
function thinkingIn(part: Fields, depth: number): string {
  const inner = [part.thinking, part.reasoning, part.text, part.summary, part.content].find(Boolean)
  if (typeof inner === 'string') return inner
  const said = saidIn(inner, depth + 1)
  return said === undefined ? '' : said.thinking + said.text
}

/** Some write `text: { value }`. */
const textIn = (value: unknown): string =>
  typeof value === 'string'
    ? value
    : typeof value === 'object' && value !== null && 'value' in value && typeof value.value === 'string'
      ? value.value
      : ''

/** The names under which servers put thinking beside the text. Some put the same one under two names: the first counts. */
const thinkingNames = ['thinking', 'reasoning_content', 'reasoning', 'reasoning_text', 'reasoning_details'] as const

/** What a message or a delta says, its content and what stands beside it. Undefined for content that can be none. */
export function saidBy(message: Fields): Said | undefined {
  const content = saidIn(message.content)
  if (content === undefined) return undefined
  let { thinking } = content
  for (const name of thinkingNames) {
    if (thinking !== '') break
    const beside = message[name]
    if (beside === undefined || beside === null || beside === '') continue
    const said = typeof beside === 'string' ? beside : thinkingIn({ thinking: beside }, 0)
    thinking = said
  }
  const refusal = textIn(message.refusal)
  return {
    text: content.text + refusal,
    thinking,
    ...((refusal !== '' || content.isRefusal) && { isRefusal: true }),
  }
}

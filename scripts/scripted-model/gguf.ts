import { type GgufValue, ggufFile, type Tensor } from './gguf-file.ts'

/** What a model says, by the name of its script. A script begins after the control token `<|NAME|>` and ends with the end of the text. */
export type Scripts = Readonly<Record<string, string>>

const FIXED = ['<unk>', '<s>', '</s>'] as const
const [UNKNOWN, BEGIN, END] = [0, 1, 2]
/** Kinds of tokens in a GGUF. */
const kinds = { normal: 1, unknown: 2, control: 3, byte: 6 } as const
const LETTERS = '▁abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'
/** Logit of the token that follows; all others have 0. */
const CERTAIN = 40
const HEAD = 32

interface Vocabulary {
  readonly tokens: string[]
  readonly kinds: number[]
  /** The token that follows each, where one does. */
  readonly next: Map<number, number>
}

/** Marks such as `<think>` are pieces of their own; the rest is words, each with the blanks before it. */
const wordsOf = (text: string): string[] => (text.match(/<\/?[a-z_]+>|\s*[^\s<]+|\s+|</g) ?? []).map(spelt)

/** As SentencePiece writes blanks. */
const spelt = (text: string): string => text.replaceAll(' ', '▁')

/**
 * The words of a script joined to pieces of which none is in `taken`: the token that follows depends on the last one alone, so a piece
 * must stand at one place in all scripts. Throws where a script is the end of another one.
 */
function piecesOf(name: string, text: string, taken: ReadonlySet<string>): string[] {
  const pieces: string[] = []
  const own = new Set<string>()
  const isTaken = (piece: string) => taken.has(piece) || own.has(piece)
  let piece = ''
  for (const word of wordsOf(text)) {
    piece += word
    if (isTaken(piece)) continue
    pieces.push(piece)
    own.add(piece)
    piece = ''
  }
  while (piece !== '') {
    const before = pieces.pop()
    if (before === undefined) throw new Error(`the script ${name} has no piece of its own: ${text}`)
    own.delete(before)
    piece = before + piece
    if (isTaken(piece)) continue
    pieces.push(piece)
    piece = ''
  }
  return pieces
}

function vocabularyOf(scripts: Scripts): Vocabulary {
  const tokens: string[] = [...FIXED]
  const kindOf: number[] = [kinds.unknown, kinds.control, kinds.control]
  const next = new Map<number, number>()
  const taken = new Set<string>(tokens)
  const add = (token: string, kind: number): number => {
    taken.add(token)
    tokens.push(token)
    kindOf.push(kind)
    return tokens.length - 1
  }
  for (let byte = 0; byte < 256; byte++) add(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`, kinds.byte)
  for (const letter of LETTERS) add(letter, kinds.normal)
  for (const [name, text] of Object.entries(scripts)) {
    const pieces = piecesOf(name, text, taken)
    let last = add(`<|${name}|>`, kinds.control)
    for (const piece of pieces) {
      const token = add(piece, kinds.normal)
      next.set(last, token)
      last = token
    }
    next.set(last, END)
  }
  return { tokens, kinds: kindOf, next }
}

/**
 * A model file that any server on llama.cpp runs, and that says what it is told: a llama of one layer that adds nothing, so that each token
 * follows from the one before. A server's template puts the control token of a script at the end of the prompt. It reaches what real servers
 * do with thinking, tool calls and grammars without a download. `template`: a chat template in Jinja, for servers that read it from the file.
 */
export function scriptedModel(scripts: Scripts, template?: string): Buffer {
  const { tokens, kinds: kindOf, next } = vocabularyOf(scripts)
  const count = tokens.length
  const width = Math.ceil(count / HEAD) * HEAD
  const [embedding, output] = [new Float32Array(width * count), new Float32Array(width * count)]
  for (let token = 0; token < count; token++) {
    embedding[token * width + token] = 1
    output[(next.get(token) ?? END) * width + token] = CERTAIN / Math.sqrt(width)
  }
  const sizes = {
    ...{ context_length: 8192, embedding_length: width, block_count: 1, feed_forward_length: HEAD },
    ...{ 'attention.head_count': 1, 'attention.head_count_kv': 1, 'rope.dimension_count': HEAD },
    ...{ 'attention.key_length': HEAD, 'attention.value_length': HEAD, vocab_size: count },
  }
  const values: [string, GgufValue][] = [
    ['general.architecture', 'llama'],
    ['general.name', 'scripted'],
    ...Object.entries(sizes).map(([key, size]): [string, GgufValue] => [`llama.${key}`, { whole: size }]),
    ['llama.attention.layer_norm_rms_epsilon', { real: 1e-5 }],
    ['tokenizer.ggml.model', 'llama'],
    ['tokenizer.ggml.tokens', tokens],
    ['tokenizer.ggml.scores', { reals: tokens.map(() => -1) }],
    ['tokenizer.ggml.token_type', { wholes: kindOf }],
    ['tokenizer.ggml.bos_token_id', { whole: BEGIN! }],
    ['tokenizer.ggml.eos_token_id', { whole: END! }],
    ['tokenizer.ggml.unknown_token_id', { whole: UNKNOWN! }],
    ['tokenizer.ggml.add_bos_token', true],
    ['tokenizer.ggml.add_space_prefix', false],
    ...(template === undefined ? [] : [['tokenizer.chat_template', template] as [string, GgufValue]]),
  ]
  const ones = () => new Float32Array(width).fill(1)
  const nothing = () => new Float32Array(width * HEAD)
  const tensors: Tensor[] = [
    { name: 'token_embd.weight', shape: [width, count], data: embedding },
    { name: 'output_norm.weight', shape: [width], data: ones() },
    { name: 'output.weight', shape: [width, count], data: output },
    { name: 'blk.0.attn_norm.weight', shape: [width], data: ones() },
    { name: 'blk.0.ffn_norm.weight', shape: [width], data: ones() },
    ...['attn_q', 'attn_k', 'attn_v', 'ffn_gate', 'ffn_up'].map((part) => ({
      ...{ name: `blk.0.${part}.weight`, shape: [width, HEAD], data: nothing() },
    })),
    ...['attn_output', 'ffn_down'].map((part) => ({
      ...{ name: `blk.0.${part}.weight`, shape: [HEAD, width], data: nothing() },
    })),
  ]
  return ggufFile(values, tensors)
}

import { analyzeSync, Context, Liquid, LiquidError, type Template, toValueSync, type Variable } from 'liquidjs'
import { CaesuraError } from './errors.ts'
import { isRecord, orList, show } from './problems.ts'

/** What a template can name, beside `input`, `interrupt.input`, `interrupt.at` and `vars.*`. */
export interface KnownNames {
  /** The stages' ids: `<stage>.output`. */
  readonly stages: readonly string[]
}

/**
 * What a template sees, in its own words: `input` (text), `<stage>: { output }` for every stage of the pipeline (after
 * *carry*; the empty text where there is none yet), `interrupt: { input?, at? }` (ms from the run's start), `vars`.
 * Texts are put in as they are: nothing in them is read as a template.
 */
export type TemplateScope = Readonly<Record<string, unknown>>

export interface TemplateProblem {
  /** UTF-16 units from the start of the template. */
  readonly offset: number
  /** What is said of the template, such as `has an unknown name`. */
  readonly message: string
  readonly received: string
  readonly expected: string
  /** The names that are allowed, where it is a name. */
  readonly allowed?: readonly string[]
}

const MOST_CACHED = 200

const liquid = new Liquid({
  strictVariables: true,
  strictFilters: true,
  // `{% if vars.tone %}` and `| default:` may ask for what is not there.
  lenientIf: true,
  // An empty text is false, so that `{% if draft.output %}` asks whether there is any.
  jsTruthy: true,
  ownPropertyOnly: true,
  templates: {}, // no file system
  parseLimit: 1_100_000,
  memoryLimit: 100_000_000,
  renderLimit: 1000, // ms
})
for (const tag of ['include', 'render', 'layout', 'block']) delete liquid.tags[tag]
// These parse an argument as an expression, which may be the user's input.
for (const name of Object.keys(liquid.filters)) if (name.endsWith('_exp')) delete liquid.filters[name]

const cache = new Map<string, Template[]>()

function parse(source: string): Template[] {
  const known = cache.get(source)
  if (known) return known
  const parsed = liquid.parse(source)
  if (cache.size >= MOST_CACHED) cache.delete(cache.keys().next().value!)
  cache.set(source, parsed)
  return parsed
}

/** Syntax errors, unknown filters and unknown names of a template, in the order of the text. Empty when it holds. */
export function templateProblems(source: string, known: KnownNames): TemplateProblem[] {
  let variables: Variable[]
  try {
    variables = Object.values(analyzeSync(parse(source), { partials: false }).globals).flat()
  } catch (error) {
    return [syntaxProblem(error, source)]
  }
  const allowed = allowedNames(known)
  return variables
    .filter((variable) => !isKnown(variable, known))
    .map((variable) => ({
      offset: offsetOf(source, variable.location),
      message: 'names something that is not there',
      received: String(variable),
      expected: orList([...allowed, 'vars.*']),
      allowed,
    }))
    .sort((a, b) => a.offset - b.offset)
}

/** Whether the template asks for `interrupt.input` anywhere. False for one that does not parse. */
export function mentionsInterruptInput(source: string): boolean {
  try {
    return (analyzeSync(parse(source), { partials: false }).variables.interrupt ?? []).some(
      ({ segments }) => segments[1] === 'input',
    )
  } catch {
    return false
  }
}

/** Renders a checked template to well-formed Unicode: a filter may cut a character in two. Throws `CAESURA_E_TEMPLATE`: a variable that was not given, or a limit that was passed. */
export function renderTemplate(source: string, scope: TemplateScope): string {
  // null prints as nothing and is false in a condition; undefined would be an unknown name.
  const { input = null, at = null } = isRecord(scope.interrupt) ? scope.interrupt : {}
  const values = { vars: {}, ...scope, interrupt: { input, at } }
  try {
    return String(liquid.renderSync(parse(source), values)).toWellFormed()
  } catch (error) {
    throw renderError(error, source)
  }
}

function renderError(error: unknown, source: string): CaesuraError {
  const { message, received, expected } = syntaxProblem(error, source)
  return new CaesuraError('CAESURA_E_TEMPLATE', `The template ${message}.`, { received, expected, cause: error })
}

/**
 * The beginning of what a checked template renders to: up to the first place where it asks for the output of the stage
 * `unknown`, or for anything of the interrupt. A condition, a loop or a filter that asks ends it as well. `isCut`: there was such
 * a place. Throws as `renderTemplate` does.
 */
export function renderKnownStart(
  source: string,
  scope: TemplateScope,
  unknown: string,
): { readonly text: string; readonly isCut: boolean } {
  let isCut = false
  // No text stands for what is not known, so none can be mistaken for it: reading it ends the rendering.
  const stop = (): never => {
    isCut = true
    throw new Error('not known yet')
  }
  const hidden = {
    get output() {
      return stop()
    },
  }
  const interrupt = {
    get input() {
      return stop()
    },
    get at() {
      return stop()
    },
  }
  const emitter = {
    buffer: '',
    write(piece: unknown) {
      this.buffer += printed(piece)
    },
  }
  const values = { vars: {}, ...scope, [unknown]: hidden, interrupt }
  const context = new Context(values, liquid.options, { sync: true }, { liquid })
  try {
    toValueSync(liquid.renderer.renderTemplates(parse(source), context, emitter))
  } catch (error) {
    if (!isCut) throw renderError(error, source)
  }
  // The other half of a character may come from what is not known yet.
  const text = isCut ? emitter.buffer.replace(/[\uD800-\uDBFF]$/, '') : emitter.buffer
  return { text: text.toWellFormed(), isCut }
}

/** A value as liquid prints it. */
const printed = (value: unknown): string => (Array.isArray(value) ? value.map(printed).join('') : String(value ?? ''))

const allowedNames = ({ stages }: KnownNames): string[] => [
  'input',
  ...stages.map((id) => `${id}.output`),
  'interrupt.input',
  'interrupt.at',
]

function isKnown({ segments: [root, leaf, ...rest] }: Variable, { stages }: KnownNames): boolean {
  // `size`, `first` and `last` are liquid's own, for every text and list.
  const ends = (names: (typeof leaf)[]) => rest.length === 0 || (rest.length === 1 && names.includes(rest[0]))
  if (root === 'vars') return true
  if (root === 'input') return leaf === undefined || (leaf === 'size' && rest.length === 0)
  if (root === 'interrupt') return (leaf === 'input' && ends(['size'])) || (leaf === 'at' && ends([]))
  return typeof root === 'string' && stages.includes(root) && leaf === 'output' && ends(['size'])
}

function offsetOf(source: string, { row, col }: { row: number; col: number }): number {
  let start = 0
  for (let line = 1; line < row; line++) start = source.indexOf('\n', start) + 1
  return start + col - 1
}

function syntaxProblem(error: unknown, source: string): TemplateProblem {
  const expected = 'a Liquid template'
  if (!LiquidError.is(error)) return { offset: 0, message: 'cannot be read', received: show(source), expected }
  const { token } = error as LiquidError
  // The package's sentence names its own row and column, which count from the template's start.
  const said = error.message.replace(/, line:\d+, col:\d+$/, '')
  const filter = /^undefined filter: (.*)$/.exec(said)?.[1]
  if (filter !== undefined) {
    const offset =
      token.begin + Math.max(0, token.getText().search(new RegExp(`\\|\\s*${filter.replace(/\W/g, '\\$&')}`)))
    const allowed = Object.keys(liquid.filters)
    return { offset, message: 'uses an unknown filter', received: filter, expected: 'a filter of Liquid', allowed }
  }
  if (/call stack/.test(said)) return { offset: 0, message: 'is nested too deeply', received: show(source), expected }
  return { offset: token.begin, message: `does not hold: ${show(said)}`, received: show(token.getText()), expected }
}

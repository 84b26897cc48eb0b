import { Context, Liquid, LiquidError, filters as library, type Template, toValueSync } from 'liquidjs'
import { CaesuraError } from '../core/errors.ts'
import { present } from '../core/present.ts'
import { isRecord, orList, show } from '../core/problems.ts'
import { Budget, prices } from './template-budget.ts'
import { templateFilters } from './template-filters.ts'
import { templateOperators, templateTags, textEmitter } from './template-tags.ts'
import { eachTemplate, type NameUse, namesOf, operandsOf } from './template-tree.ts'

/** What a template can name, beside `input`, `interrupt.input`, `interrupt.at`, `session` and `vars.*`. */
export interface KnownNames {
  /** The stages' ids: `<stage>.output`, `<stage>.thinking`. */
  readonly stages: readonly string[]
  /** Those of stages that give JSON: `<stage>.value`, and what is in it; absent: all of them. */
  readonly valued?: readonly string[]
}

/**
 * What a template sees, in its own words: `input` (text), `<stage>: { output, thinking, value }` for every stage of the pipeline (after
 * *carry*; the empty text, and `null` for the value, where there is none yet), `interrupt: { input?, at? }` (ms from the run's start), `vars`.
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

/** Characters of a whole template; no more can be printed. */
const MOST_CHARACTERS = 1024 * 1024
/** Characters between `{{` and `}}` and between `{%` and `%}`, all together: to read them takes a hundred times as long as text. */
export const MOST_CODE = 16 * 1024
/** Characters of the templates that are kept read. */
const MOST_CACHED = 4 * 1024 * 1024

const liquid = new Liquid({
  strictVariables: true,
  strictFilters: true,
  // `{% if vars.tone %}` and `| default:` may ask for what is not there.
  lenientIf: true,
  // An empty text is false, so that `{% if draft.output %}` asks whether there is any.
  jsTruthy: true,
  ownPropertyOnly: true,
  templates: {}, // no file system
  operators: templateOperators,
})
for (const tag of ['include', 'render', 'layout', 'block', 'cycle', 'tablerow']) delete liquid.tags[tag]
for (const [name, tag] of Object.entries(templateTags)) liquid.registerTag(name, tag)
for (const name of Object.keys(liquid.filters)) delete liquid.filters[name]
for (const [name, filter] of Object.entries(templateFilters)) liquid.registerFilter(name, filter)

/** The tags that a template may use, by name. */
export const templateTagNames: readonly string[] = Object.keys(liquid.tags)

const cache = new Map<string, Template[]>()
let cached = 0

function parse(source: string): Template[] {
  const known = cache.get(source)
  if (known) return known
  const parsed = liquid.parse(source)
  eachTemplate(parsed, pay)
  cached += source.length
  for (const old of cache.keys()) {
    if (cached <= MOST_CACHED) break
    cache.delete(old)
    cached -= old.length
  }
  cache.set(source, parsed)
  return parsed
}

/** From now on whoever renders it pays for it first. */
function pay(template: Template): void {
  const price = prices.node + operandsOf(template) * prices.operand
  const { render } = template
  template.render = (context, emitter) => {
    ;(context.memoryLimit as unknown as Budget).spend(price)
    return render.call(template, context, emitter)
  }
}

/** Why it is not even read; undefined where it may be. */
function sizeProblem(source: string): TemplateProblem | undefined {
  const refuse = (message: string, received: number, most: number): TemplateProblem => ({
    offset: 0,
    message,
    received: `${received.toLocaleString('en-US')} characters`,
    expected: `at most ${most.toLocaleString('en-US')} characters`,
  })
  if (source.length > MOST_CHARACTERS) return refuse('is too long', source.length, MOST_CHARACTERS)
  const code = codeIn(source)
  if (code > MOST_CODE) return refuse('has too much between {{ }} and {% %}', code, MOST_CODE)
  return undefined
}

/** Characters of a template that are code. */
export function codeIn(source: string): number {
  let code = 0
  for (let at = 0; at < source.length; ) {
    const start = source.indexOf('{', at)
    if (start === -1) break
    const isOutput = source[start + 1] === '{'
    if (!isOutput && source[start + 1] !== '%') {
      at = start + 1
      continue
    }
    const end = source.indexOf(isOutput ? '}}' : '%}', start + 2)
    at = end === -1 ? source.length : end + 2
    code += at - start
  }
  return code
}

/** Syntax errors, unknown filters and unknown names of a template, in the order of the text. Empty when it holds. */
export function templateProblems(source: string, known: KnownNames): TemplateProblem[] {
  const size = sizeProblem(source)
  if (size !== undefined) return [size]
  let names: NameUse[]
  try {
    names = namesOf(parse(source)).filter(({ isLocal }) => !isLocal)
  } catch (error) {
    return [syntaxProblem(error, source)]
  }
  const allowed = allowedNames(known)
  const expected = orList([...allowed, 'vars.*'])
  const message = 'names something that is not there'
  return names
    .filter((name) => !isKnown(name, known))
    .map(({ offset, text }) => ({ offset, message, received: text, expected, allowed }))
    .sort((a, b) => a.offset - b.offset)
}

/** Whether the template asks for `interrupt.input` anywhere. False for one that does not parse. */
export function mentionsInterruptInput(source: string): boolean {
  try {
    return (
      sizeProblem(source) === undefined &&
      namesOf(parse(source)).some(({ segments: [root, leaf] }) => root === 'interrupt' && leaf === 'input')
    )
  } catch {
    return false
  }
}

/**
 * Renders a checked template to well-formed Unicode: a filter may cut a character in two. Throws `CAESURA_E_TEMPLATE` for a variable that
 * was not given, and `CAESURA_E_TEMPLATE_LIMIT` for one that takes too much (`templateLimits`). It never takes longer than these allow,
 * whatever the values are.
 */
export function renderTemplate(source: string, scope: TemplateScope): string {
  // null prints as nothing and is false in a condition; undefined would be an unknown name.
  const { input = null, at = null } = isRecord(scope.interrupt) ? scope.interrupt : {}
  return render(source, { vars: {}, session: null, ...scope, interrupt: { input, at } }).toWellFormed()
}

/** `isCut`: whether a value has ended the rendering where it was asked for; what came before it is the text then. */
function render(source: string, values: TemplateScope, isCut = (): boolean => false): string {
  const size = sizeProblem(source)
  if (size !== undefined) throw templateError(size)
  const budget = new Budget()
  const emitter = textEmitter(budget, (characters) => budget.print(characters))
  const limits = { memoryLimit: budget, renderLimit: budget, liquid } as unknown as ContextParts
  const context = new Context(values, liquid.options, { sync: true }, limits)
  // A name that a condition asks for in vain is an error inside of liquidjs, whose stack takes longer than all the rest.
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    toValueSync(liquid.renderer.renderTemplates(parse(source), context, emitter))
  } catch (error) {
    if (budget.passed !== undefined && !isCut()) throw budget.passed
    if (!isCut()) throw templateError(syntaxProblem(error, source), error)
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
  return emitter.buffer
}

type ContextParts = NonNullable<ConstructorParameters<typeof Context>[3]>

const templateError = ({ message, received, expected }: TemplateProblem, cause?: unknown): CaesuraError =>
  new CaesuraError('CAESURA_E_TEMPLATE', `The template ${message}.`, {
    received,
    expected,
    ...present({ cause }),
  })

/**
 * The beginning of what a checked template renders to: up to the first place where it asks for anything of the stage
 * `unknown`, or for anything of the interrupt. A condition, a loop or a filter that asks ends it as well. `isCut`: there was such
 * a place. Throws as `renderTemplate` does.
 */
export function renderKnownStart(
  source: string,
  scope: TemplateScope,
  unknown: string,
): { readonly text: string; readonly isCut: boolean } {
  // No text stands for what is not known, so none can be mistaken for it: reading it ends the rendering.
  let isCut = false
  const stop = (): never => {
    isCut = true
    throw new Error('not known yet')
  }
  const hidden = {
    get output() {
      return stop()
    },
    get thinking() {
      return stop()
    },
    get value() {
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
  const rendered = render(source, { vars: {}, session: null, ...scope, [unknown]: hidden, interrupt }, () => isCut)
  // The other half of a character may come from what is not known yet.
  const text = isCut ? rendered.replace(/[\uD800-\uDBFF]$/, '') : rendered
  return { text: text.toWellFormed(), isCut }
}

const allowedNames = ({ stages, valued = stages }: KnownNames): string[] => [
  'input',
  ...stages.map((id) => `${id}.output`),
  ...valued.map((id) => `${id}.value`),
  ...stages.map((id) => `${id}.thinking`),
  'interrupt.input',
  'interrupt.at',
  'session',
]

function isKnown({ segments: [root, leaf, ...rest] }: NameUse, { stages, valued = stages }: KnownNames): boolean {
  // `size`, `first` and `last` are liquid's own, for every text and list.
  const ends = (names: (typeof leaf)[]) => rest.length === 0 || (rest.length === 1 && names.includes(rest[0]))
  if (root === 'vars') return true
  if (root === 'input') return leaf === undefined || (leaf === 'size' && rest.length === 0)
  if (root === 'session') return leaf === undefined
  if (root === 'interrupt') return (leaf === 'input' && ends(['size'])) || (leaf === 'at' && ends([]))
  if (typeof root !== 'string' || !stages.includes(root)) return false
  if (leaf === 'value') return valued.includes(root)
  return (leaf === 'output' || leaf === 'thinking') && ends(['size'])
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
    if (Object.hasOwn(library, filter) && !filter.endsWith('_exp'))
      return {
        offset,
        message: 'uses a filter of Liquid that prompts do not have',
        received: filter,
        expected: orList(allowed),
      }
    return { offset, message: 'uses an unknown filter', received: filter, expected: 'a filter of Liquid', allowed }
  }
  if (/call stack/.test(said)) return { offset: 0, message: 'is nested too deeply', received: show(source), expected }
  return { offset: token.begin, message: `does not hold: ${show(said)}`, received: show(token.getText()), expected }
}

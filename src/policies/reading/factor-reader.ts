import type { Catalogue } from '../../core/catalogue.ts'
import type { Factor, SignalFilter, TriggerFactor } from '../../core/policy.ts'
import { isRecord, orList, type Path, type Problem, parseWith } from '../../core/problems.ts'
import { type FactorDefinition, filterSchemas, isAny, signalChoices, standsAlone } from './factor.ts'

const DEEPEST_ANY = 8
const MOST_MEMBERS = 16
/** What may stand beside a trigger's own key. */
const FILTER_KEYS = ['signals', ...Object.keys(filterSchemas)]

/** Reads the factors of one policy; what it cannot read becomes a problem, and the answer is absent. */
export class FactorReader {
  readonly #catalogue: Catalogue
  readonly #problems: Problem[]

  constructor(catalogue: Catalogue, problems: Problem[]) {
    this.#catalogue = catalogue
    this.#problems = problems
  }

  trigger(value: unknown, path: Path, depth: number): TriggerFactor | undefined {
    const { triggers } = this.#catalogue
    const factor = this.factor(triggers, 'trigger', value, path, FILTER_KEYS, (list, at) =>
      this.#list(list, at, depth + 1),
    )
    const filters = isRecord(value) ? this.#filters(value, path) : {}
    const signals = isRecord(value) && value.signals !== undefined ? value.signals : 'heed'
    if (signals !== 'heed' && signals !== 'ignore') {
      this.#unknown([...path, 'signals'], signals, 'choice', signalChoices)
      return undefined
    }
    return factor && { ...factor, signals, ...filters }
  }

  /** A name, or a mapping with exactly one factor's name as key. */
  factor(
    definitions: readonly FactorDefinition[],
    kind: string,
    value: unknown,
    path: Path,
    extra: readonly string[] = [],
    list?: (value: unknown, path: Path) => Factor[] | undefined,
  ): Factor | undefined {
    const names = definitions.map((definition) => definition.name)
    if (!isRecord(value)) {
      const definition = definitions.find((candidate) => candidate.name === value)
      if (!definition) return this.#unknown(path, value, kind, names)
      return this.#withParameter(definition, undefined, path, path, list)
    }
    const keys = Object.keys(value).filter((key) => !extra.includes(key))
    const known = keys.filter((key) => names.includes(key))
    for (const key of keys)
      if (!known.includes(key)) this.#unknown([...path, key], key, kind, [...names, ...extra], true)
    if (known.length > 1) {
      const hint =
        kind === 'trigger' ? `Write \`any: [${known.map((key) => `{ ${key}: … }`).join(', ')}]\`.` : 'Keep one of them.'
      const params = { expected: `one ${kind}`, hint }
      this.#problems.push({ path, input: known.join(', '), message: `names more than one ${kind}`, params })
      return undefined
    }
    const definition = definitions.find((candidate) => candidate.name === known[0])
    if (definition)
      return this.#withParameter(
        definition,
        value[definition.name] ?? undefined,
        path,
        [...path, definition.name],
        list,
      )
    if (keys.length === 0) {
      this.#problems.push({
        path,
        input: value,
        message: `names no ${kind}`,
        params: { expected: orList(names), allowed: names },
      })
    }
    return undefined
  }

  choice(definitions: readonly FactorDefinition[], kind: 'carry' | 'warm', value: unknown): string {
    const names = definitions.map((definition) => definition.name)
    if (typeof value === 'string' && names.includes(value)) return value
    this.#unknown([kind], value, kind, names)
    return ''
  }

  /** Whether the stage exists is for the pipeline to say. */
  then(value: unknown): void {
    if (typeof value === 'string' && value !== '') return
    const names = this.#catalogue.thens.filter((then) => then.parameterHint === undefined).map((then) => then.name)
    this.#unknown(['then'], value, 'place to go', [...names, "a stage's id"])
  }

  #withParameter(
    definition: FactorDefinition,
    parameter: unknown,
    path: Path,
    at: Path,
    list?: (value: unknown, path: Path) => Factor[] | undefined,
  ): Factor | undefined {
    const { name, parameterHint } = definition
    if (parameter === undefined && !standsAlone(definition)) {
      const params = { expected: `${name} with its parameter, ${parameterHint ?? 'a value'}` }
      this.#problems.push({ path: at, input: name, message: 'needs a parameter', params })
      return undefined
    }
    if (isAny(definition) && list) {
      const members = list(parameter, at)
      return members && { name, parameter: members }
    }
    if (definition.parameter === undefined) {
      if (parameter === undefined) return { name }
      const params = { expected: `${name} alone`, hint: `Write \`${String(path.at(-1))}: ${name}\`.` }
      this.#problems.push({ path: at, input: parameter, message: 'takes no parameter', params })
      return undefined
    }
    const parsed = parseWith(definition.parameter, parameter)
    if ('value' in parsed) return parsed.value === undefined ? { name } : { name, parameter: parsed.value }
    this.#problems.push(...parsed.problems.map((problem) => ({ ...problem, path: [...at, ...problem.path] })))
    return undefined
  }

  #list(value: unknown, path: Path, depth: number): Factor[] | undefined {
    if (!Array.isArray(value) || value.length === 0 || value.length > MOST_MEMBERS || depth > DEEPEST_ANY) {
      const expected = `a list of 1 to ${MOST_MEMBERS} triggers`
      this.#problems.push({
        path,
        input: value,
        message: depth > DEEPEST_ANY ? 'is nested too deeply' : `must be ${expected}`,
        params: { expected },
      })
      return undefined
    }
    const members = value.map((member, index) => {
      for (const key of FILTER_KEYS) if (isRecord(member) && key in member) this.#inner(key, [...path, index, key])
      return this.trigger(member, [...path, index], depth)
    })
    return members.every((member) => member !== undefined)
      ? members.map(({ name, parameter }) => (parameter === undefined ? { name } : { name, parameter }))
      : undefined
  }

  /** These keys speak of the whole boundary; on a member of `any` they would do nothing. */
  #inner(key: string, path: Path): void {
    const params = { expected: `${key} beside any`, hint: `Put \`${key}\` beside \`any\`.`, key: true }
    this.#problems.push({ path, input: key, message: 'stands inside the list', params })
  }

  #filters(value: Record<string, unknown>, path: Path): Omit<SignalFilter, 'signals'> {
    const filters: Record<string, unknown> = {}
    for (const [key, schema] of Object.entries(filterSchemas)) {
      if (value[key] === undefined) continue
      const parsed = parseWith<unknown>(schema, value[key])
      if ('value' in parsed) filters[key] = parsed.value
      else
        this.#problems.push(
          ...parsed.problems.map((problem) => ({ ...problem, path: [...path, key, ...problem.path] })),
        )
    }
    return filters
  }

  #unknown(path: Path, input: unknown, kind: string, allowed: readonly string[], key = false): undefined {
    const message = `is not a known ${kind}`
    this.#problems.push({ path, input, message, params: { expected: orList(allowed), allowed, ...(key && { key }) } })
  }
}

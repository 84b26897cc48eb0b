import type { Catalogue } from '../../core/catalogue.ts'
import { CaesuraError } from '../../core/errors.ts'
import type { Pipeline } from '../../core/pipeline.ts'
import type { Factor } from '../../core/policy.ts'
import { isRecord, orList, show } from '../../core/problems.ts'
import type { StepKind } from '../../core/step.ts'

/** The lists of a catalogue, with the functions that each definition of them needs. */
const lists: Readonly<Record<keyof Catalogue, readonly string[]>> = {
  steps: ['read', 'templates', 'open'],
  triggers: ['initial', 'step'],
  responses: ['start'],
  carries: ['keep'],
  warms: [],
  placements: [],
  thens: [],
  presets: [],
  backends: ['open'],
}
/** Names are keys and words of pipeline files. */
const NAME = /^[A-Za-z][\w-]{0,63}$/
const checked = new WeakSet<object>()

/**
 * Whether it is a catalogue, which may come from a program in plain JavaScript or from a file. Throws `CAESURA_E_CONFIG` with the place.
 * A catalogue is looked at once.
 */
export function checkCatalogue(value: unknown): Catalogue {
  if (!isRecord(value))
    throw refusal('catalogue', 'is no catalogue', value, `a mapping of ${orList(Object.keys(lists))}`)
  const catalogue = value as unknown as Catalogue
  if (checked.has(catalogue)) return catalogue
  for (const [list, functions] of Object.entries(lists)) checkList(`catalogue.${list}`, value[list], functions)
  for (const [index, kind] of catalogue.steps.entries()) checkStep(`catalogue.steps[${index}]`, kind)
  for (const [index, { shape }] of catalogue.backends.entries())
    checkShape(`catalogue.backends[${index}].shape`, shape, ofNodes)
  checked.add(catalogue)
  return catalogue
}

/** The keys that every stage has, and those that every node has: no kind may take them. */
const ofStages = ['id', 'policy', 'timeout', 'retry', 'fallback']
const ofNodes = ['name', 'backend', 'slots', 'pool', 'models']

/** Throws `CAESURA_E_CONFIG` for a kind of step that no stage could have. */
function checkStep(at: string, { name, shape, perform }: StepKind): void {
  checkShape(`${at}.shape`, shape, ofStages)
  if (!Object.hasOwn(shape, name))
    throw refusal(`${at}.shape`, 'lacks the key that tells the kind', Object.keys(shape), name)
  if (perform !== undefined && typeof perform !== 'function')
    throw refusal(`${at}.perform`, 'is no function', perform, 'a function')
}

/** Throws `CAESURA_E_CONFIG` for what is no mapping of keys, other than `taken`, to schemas. */
function checkShape(at: string, shape: unknown, taken: readonly string[]): void {
  if (!isRecord(shape)) throw refusal(at, 'is no mapping', shape, 'a mapping of keys to schemas of zod')
  for (const [key, schema] of Object.entries(shape)) {
    if (taken.includes(key)) throw refusal(`${at}.${key}`, 'is taken', key, `another key than ${orList(taken)}`)
    if (typeof Object(schema).safeParse !== 'function')
      throw refusal(`${at}.${key}`, 'is no schema', schema, 'a schema of zod, such as z.string()')
  }
}

/** Throws `CAESURA_E_CONFIG` where it is no list of definitions with names of their own. */
function checkList(path: string, list: unknown, functions: readonly string[]): void {
  if (!Array.isArray(list))
    throw refusal(path, 'is no list', list, {
      expected: 'a list of definitions',
      hint: 'extendCatalogue({ responses: [mine] }) adds to the catalogue that ships.',
    })
  const names = new Set<string>()
  for (const [index, definition] of (list as unknown[]).entries()) {
    const at = `${path}[${index}]`
    if (!isRecord(definition)) throw refusal(at, 'is no definition', definition, 'a mapping with a name and a summary')
    const { name, summary, parameter } = definition
    if (typeof name !== 'string' || !NAME.test(name))
      throw refusal(`${at}.name`, 'is no name', name, 'letters, digits, - and _, beginning with a letter')
    if (names.has(name))
      throw refusal(`${at}.name`, 'is there twice', name, 'a name that no other definition of the list has')
    names.add(name)
    if (typeof summary !== 'string')
      throw refusal(`${at}.summary`, 'is no text', summary, 'one line for `caesura policies`')
    for (const key of functions)
      if (typeof definition[key] !== 'function')
        throw refusal(`${at}.${key}`, 'is no function', definition[key], 'a function')
    if (parameter !== undefined && typeof Object(parameter).safeParse !== 'function')
      throw refusal(`${at}.parameter`, 'is no schema', parameter, 'a schema of zod, such as durationSchema')
  }
}

const refusal = (
  path: string,
  what: string,
  received: unknown,
  wanted: string | { readonly expected: string; readonly hint: string },
): CaesuraError =>
  new CaesuraError('CAESURA_E_CONFIG', `${path} ${what}`, {
    path,
    ...(received !== undefined && { received: typeof received === 'function' ? 'a function' : show(received) }),
    ...(typeof wanted === 'string' ? { expected: wanted } : wanted),
  })

/** A pipeline names policies of the catalogue that it was checked against. Throws `CAESURA_E_PIPELINE` for one that is not in this one. */
export function checkPolicies(catalogue: Catalogue, { stages, experiment }: Pipeline): void {
  for (const [index, { step, policy }] of stages.entries()) {
    checkName(catalogue.steps, step.kind, `stages[${index}]`)
    checkPolicy(catalogue, policy, `stages[${index}].policy`)
  }
  for (const [index, { policies }] of experiment?.arms.entries() ?? [])
    for (const policy of Object.values(policies)) checkPolicy(catalogue, policy, `experiment.arms[${index}].policy`)
}

function checkPolicy(
  catalogue: Catalogue,
  { trigger, response, carry }: Pipeline['stages'][number]['policy'],
  path: string,
): void {
  for (const { name } of withMembers(trigger)) checkName(catalogue.triggers, name, `${path}.trigger`)
  checkName(catalogue.responses, response.name, `${path}.response`)
  checkName(catalogue.carries, carry, `${path}.carry`)
}

function checkName(definitions: readonly { readonly name: string }[], name: string, path: string): void {
  if (definitions.some((definition) => definition.name === name)) return
  throw new CaesuraError('CAESURA_E_PIPELINE', `${path} is not in the catalogue of this engine`, {
    path,
    received: name,
    expected: orList(definitions.map((definition) => definition.name)),
    hint: 'Hand the engine the catalogue that the pipeline was checked against: createEngine({ catalogue }).',
  })
}

/** A trigger, and those of its list. */
const withMembers = (factor: Factor): Factor[] => [
  factor,
  ...(Array.isArray(factor.parameter) ? (factor.parameter as Factor[]).flatMap(withMembers) : []),
]

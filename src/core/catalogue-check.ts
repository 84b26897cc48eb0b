import { CaesuraError } from './errors.ts'
import type { Pipeline } from './pipeline.ts'
import type { Factor, PolicyCatalogue } from './policy.ts'
import { isRecord, orList, show } from './problems.ts'

/** The lists of a catalogue, with the functions that each definition of them needs. */
const lists: Readonly<Record<keyof PolicyCatalogue, readonly string[]>> = {
  triggers: ['initial', 'step'],
  responses: ['start'],
  carries: ['keep'],
  warms: [],
  placements: [],
  thens: [],
  presets: [],
}
/** Names are keys and words of pipeline files. */
const NAME = /^[A-Za-z][\w-]{0,63}$/
const checked = new WeakSet<object>()

/**
 * Whether it is a catalogue, which may come from a program in plain JavaScript or from a file. Throws `CAESURA_E_CONFIG` with the place.
 * A catalogue is looked at once.
 */
export function checkCatalogue(value: unknown): PolicyCatalogue {
  if (!isRecord(value))
    throw refusal('catalogue', 'is no catalogue', value, `a mapping of ${orList(Object.keys(lists))}`)
  if (checked.has(value)) return value as unknown as PolicyCatalogue
  for (const [list, functions] of Object.entries(lists)) checkList(`catalogue.${list}`, value[list], functions)
  checked.add(value)
  return value as unknown as PolicyCatalogue
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
export function checkPolicies(catalogue: PolicyCatalogue, { stages, experiment }: Pipeline): void {
  for (const [index, { policy }] of stages.entries()) checkPolicy(catalogue, policy, `stages[${index}].policy`)
  for (const [index, { policies }] of experiment?.arms.entries() ?? [])
    for (const policy of Object.values(policies)) checkPolicy(catalogue, policy, `experiment.arms[${index}].policy`)
}

function checkPolicy(
  catalogue: PolicyCatalogue,
  { trigger, response, carry }: Pipeline['stages'][number]['policy'],
  path: string,
): void {
  const check = (
    key: 'trigger' | 'response' | 'carry',
    definitions: readonly { readonly name: string }[],
    name: string,
  ) => {
    if (definitions.some((definition) => definition.name === name)) return
    throw new CaesuraError('CAESURA_E_PIPELINE', `${path}.${key} is not in the catalogue of this engine`, {
      path: `${path}.${key}`,
      received: name,
      expected: orList(definitions.map((definition) => definition.name)),
      hint: 'Hand the engine the catalogue that the pipeline was checked against: createEngine({ catalogue }).',
    })
  }
  for (const { name } of withMembers(trigger)) check('trigger', catalogue.triggers, name)
  check('response', catalogue.responses, response.name)
  check('carry', catalogue.carries, carry)
}

/** A trigger, and those of its list. */
const withMembers = (factor: Factor): Factor[] => [
  factor,
  ...(Array.isArray(factor.parameter) ? (factor.parameter as Factor[]).flatMap(withMembers) : []),
]

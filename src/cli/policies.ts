import { styleText } from 'node:util'
import { Command } from 'commander'
import stringWidth from 'string-width'
import wrapAnsi from 'wrap-ansi'
import { stringify } from 'yaml'
import type { Catalogue } from '../core/catalogue.ts'
import { CaesuraError } from '../core/errors.ts'
import { didYouMean } from '../core/problems.ts'
import { type ListedFactor, listPolicies, type PolicyListing, policyNames } from '../policies/reading/policy-listing.ts'
import { asTyped } from './as-typed.ts'
import { type CatalogueFlag, catalogueOf, catalogueOption } from './catalogue-flag.ts'

const NAME_WIDTH = 18
const titles: Record<keyof PolicyListing, string> = {
  triggers: 'trigger: when an interrupt happens',
  responses: 'response: what becomes of the call in flight',
  carries: 'carry: what the next stage sees of the partial output',
  warms: 'warm: what is done ahead for the next stage',
  placements: 'placement: which node the next stage may use',
  thens: 'then: where the run goes',
  presets: 'policies with a name',
}

/** `policies [NAME]`: what a policy can be made of. Throws `CAESURA_E_USAGE` for a name that nothing has. */
export function policiesCommand(): Command {
  return new Command('policies')
    .description('list triggers, responses, the other factors, and the policies with a name')
    .argument('[name]', 'one of them, in detail')
    .addOption(catalogueOption())
    .option('--json', 'one JSON document on stdout')
    .action(async (name: string | undefined, { json = false, ...flags }: { json?: boolean } & CatalogueFlag) => {
      const catalogue = await catalogueOf(flags)
      const listing = listPolicies(catalogue, name)
      if (name !== undefined && Object.values(listing).every((listed) => listed.length === 0))
        throw unknown(name, catalogue)
      process.stdout.write(
        json ? `${JSON.stringify(listing, undefined, 2)}\n` : listingText(listing, name !== undefined),
      )
    })
}

function unknown(name: string, catalogue: Catalogue): CaesuraError {
  const hint = didYouMean(name, policyNames(catalogue)) ?? '`caesura policies` lists all names.'
  return new CaesuraError('CAESURA_E_USAGE', `Nothing is named ${name}.`, {
    received: name,
    expected: 'the name of a factor or a policy',
    hint,
  })
}

const style = (format: Parameters<typeof styleText>[0], text: string) =>
  styleText(format, text, { stream: process.stdout })
const pad = (text: string, width: number) => text + ' '.repeat(Math.max(1, width - stringWidth(text)))
/** Readable on a wide screen, and no wider than a narrow one. */
const screenWidth = () => Math.min(100, Math.max(60, process.stdout.columns ?? 80))

function listingText(listing: PolicyListing, detailed: boolean): string {
  const kinds = Object.keys(titles) as (keyof PolicyListing)[]
  const sections = kinds
    .filter((kind) => listing[kind].length > 0)
    .map((kind) => {
      const entries = listing[kind].flatMap((listed) => [
        entryText(listed),
        ...(detailed ? detailLines(kind, listed) : []),
      ])
      return [style('bold', titles[kind]), ...entries].join('\n')
    })
  const more = detailed
    ? []
    : [style('dim', `Names marked * are the defaults.\n${asTyped('One of them in detail: caesura policies NAME')}`)]
  return `${[...sections, ...more].join('\n\n')}\n`
}

function entryText(listed: ListedFactor): string {
  const own = listed.parameters[listed.name]
  const letter = own === undefined ? '' : `: ${own.summary.split(':')[0]}`
  const label = `${style('cyan', listed.name)}${letter.length < 8 ? letter : ''}${listed.default ? ' *' : ''}`
  return columns(`  ${label}`, listed.summary)
}

/** The label, and the text beside it in lines of its own column. */
function columns(label: string, text: string): string {
  const lines = wrapAnsi(text, screenWidth() - NAME_WIDTH - 4).split('\n')
  return lines.map((line, index) => pad(index === 0 ? label : '', NAME_WIDTH + 4) + line).join('\n')
}

function detailLines(kind: keyof PolicyListing, listed: ListedFactor): string[] {
  const parameters = Object.entries(listed.parameters).map(([key, { summary, default: fallback }]) =>
    columns(`    ${key}`, fallback === undefined ? summary : `${summary}; default: ${flow(fallback)}`),
  )
  if (!('policy' in listed)) return [...parameters, '', indented(example(kind, listed))]
  return [
    '',
    indented(stringify({ policy: listed.name })),
    '',
    '  which is short for',
    '',
    indented(stringify({ policy: listed.policy })),
  ]
}

/** A value in one line of YAML. */
const flow = (value: unknown): string => stringify(value, { collectionStyle: 'flow' }).trimEnd()

/** What a file writes. */
function example(kind: keyof PolicyListing, { name, parameters }: ListedFactor): string {
  const key = titles[kind].split(':')[0]!
  const parameter = parameters[name]
  const value = parameter === undefined ? name : { [name]: parameter.default ?? sample(parameter.schema) }
  return stringify(
    { policy: { [key]: kind === 'thens' && name in parameters ? 'draft' : value } },
    { flowCollectionPadding: true },
  )
}

/** A value that the parameter's schema takes. */
function sample(schema: Readonly<Record<string, unknown>>): unknown {
  if (schema.type === 'integer') return 12
  if (schema.type === 'object') return { otherwise: 'any' }
  if (schema.type === 'array') return [{ tokens: 12 }, { after: '2s' }]
  return '300ms'
}

const indented = (yaml: string): string => yaml.trimEnd().replace(/^/gm, '    ')

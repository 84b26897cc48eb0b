import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { verbs } from '../src/cli/verbs.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const pages = globSync(['*.md', 'docs/*.md', 'models/*.md'], { cwd: root })

/** What stands in the blocks and in the running text of a page: the words behind `caesura`, up to what is no longer its command. */
function commandsOf(page: string): string[][] {
  const text = readFileSync(`${root}/${page}`, 'utf8')
  const blocks = [...text.matchAll(/^```(\w*)\n(.*?)^```/gms)].filter(
    ([, language]) => language === 'sh' || language === '',
  )
  const lines = blocks.flatMap(([, , code]) => code!.replaceAll('\\\n', ' ').split('\n'))
  const inline = [...text.matchAll(/`([^`\n]+)`/g)].map((match) => match[1]!)
  return [...lines, ...inline].flatMap((line) => {
    const [, command] = /^(?:[A-Z_]+=\S+ )*(?:npm run -s caesura --|caesura) (.*)$/.exec(line.trim()) ?? []
    if (command === undefined) return []
    const words = [...command.replace(/ [#|>].*$/, '').matchAll(/"[^"]*"|'[^']*'|[^\s\][]+/g)].map(([word]) => word)
    return [words]
  })
}

/** The flags that a command takes, or why it takes none of this name. */
async function faultOf([verb = '', ...words]: readonly string[]): Promise<string | undefined> {
  if (verb.startsWith('-') || verb === 'VERB' || verb === '…') return undefined
  const load = Object.hasOwn(verbs, verb) ? verbs[verb]!.load : undefined
  if (load === undefined) return `no verb ${verb}`
  let command: Command = await load()
  const above: Command[] = []
  for (const word of words) {
    const below = command.commands.find((each) => each.name() === word)
    if (below === undefined) break
    above.push(command)
    command = below
  }
  // `ab FILE` is `ab run FILE`.
  const all = [
    ...above,
    command,
    ...(verb === 'ab' && above.length === 0 ? command.commands.filter((each) => each.name() === 'run') : []),
  ]
  const known = new Set([...all.flatMap(({ options }) => options.map(({ long }) => long)), '--help', '--no-color'])
  const flags = words.flatMap((word) => /^(--[a-z][a-z-]*)/.exec(word)?.[1] ?? [])
  const unknown = flags.filter((flag) => !known.has(flag))
  return unknown.length === 0 ? undefined : `${unknown.join(', ')} of ${verb}`
}

describe('the command lines of the documentation', () => {
  it('are found', () => {
    expect(pages.flatMap(commandsOf).length).toBeGreaterThan(90)
    expect(commandsOf('docs/own-policies.md')).toContainEqual(['check', 'long.yaml', '--catalogue', 'policies.ts'])
  })

  it('are told from those that are not there', async () => {
    expect(await faultOf(['walk'])).toBe('no verb walk')
    expect(await faultOf(['run', 'x.yaml', '--inptu', 'x'])).toBe('--inptu of run')
    expect(await faultOf(['ab', 'data', 'x', '--report', 'f'])).toBe('--report of ab')
  })

  it.each(pages)('of %s name verbs and flags that are there', async (page) => {
    const faults: string[] = []
    for (const words of commandsOf(page)) {
      const fault = await faultOf(words)
      if (fault !== undefined) faults.push(`${words.join(' ')}: ${fault}`)
    }
    expect(faults).toEqual([])
  })
})

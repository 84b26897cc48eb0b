import { Command } from 'commander'
import stringWidth from 'string-width'
import type { FleetNode } from '../core/fleet.ts'
import { milliseconds } from '../pages/figures.ts'
import { asTyped } from './as-typed.ts'
import { redisFileOption, redisOption } from './fleet-address.ts'
import { type FleetFlags, onFleet } from './on-fleet.ts'
import { print, printJson, printLines } from './output.ts'
import { oneLine, paragraph, type Screen, screenOn } from './screen.ts'

/** `nodes`: who serves calls now. */
export function nodesCommand(): Command {
  return new Command('nodes')
    .description('the nodes of a fleet: slots, busy, pool, models, last seen, version')
    .addOption(redisOption())
    .addOption(redisFileOption())
    .option('--config <file>', 'the configuration; caesura.config.yaml by default')
    .option('--json', 'one JSON document on stdout')
    .action(async (flags: FleetFlags & { json?: boolean }) => {
      const nodes = await onFleet(flags, (fleet) => fleet.nodes())
      if (flags.json) printJson({ nodes })
      else if (nodes.length === 0)
        print(asTyped('No node serves this fleet. Start one: caesura worker stages --url URL\n'))
      else printLines(nodeLines(nodes, Date.now(), screenOn(process.stdout)))
    })
}

const HEADS = ['node', 'state', 'busy', 'pool', 'backend', 'seen', 'version']
const LONGEST_NAME = 24

/** A row for each node, and below it where it is, what it has, and why it takes no calls. `now`: ms since 1970. Lines, unended. */
export function nodeLines(
  nodes: readonly FleetNode[],
  now: number,
  { width, paint }: Pick<Screen, 'width' | 'paint'>,
): string[] {
  const rows = nodes.map(({ name, state, busy, slots, pool, backend, seen, version }) =>
    [
      name,
      state,
      `${busy} of ${slots}`,
      pool,
      backend,
      // The fleet's clock may be a little ahead of this one.
      `${milliseconds(Math.max(0, now - seen))} ago`,
      version,
    ].map((cell) => oneLine(cell, LONGEST_NAME)),
  )
  const widths = HEADS.map((head, column) =>
    Math.max(...[[...HEADS], ...rows].map((row) => stringWidth(row[column]!)), head.length),
  )
  const padded = (cells: readonly string[]) =>
    cells.map((cell, column) => cell + ' '.repeat(widths[column]! - stringWidth(cell)))
  return [
    paint('quiet', oneLineOf(padded(HEADS), width)),
    ...nodes.flatMap(({ state, address, models, reason }, index) => {
      const cells = padded(rows[index]!)
      const cut = oneLineOf(cells, width)
      const [name = '', shown = ''] = cells
      const head = `${name}  ${shown}`
      const row = cut.startsWith(head)
        ? `${name}  ${paint(state === 'up' ? 'good' : 'bad', shown)}${cut.slice(head.length)}`
        : cut
      const has = models.length === 0 ? 'any model' : models.join(', ')
      return [
        row,
        ...paragraph(`${address === undefined ? '' : `${address}: `}${has}`, width, '  ').map((line) =>
          paint('quiet', line),
        ),
        ...(reason === undefined ? [] : paragraph(reason, width, '  ').map((line) => paint('bad', line))),
      ]
    }),
  ]
}

const oneLineOf = (cells: readonly string[], width: number): string => {
  const line = cells.join('  ').trimEnd()
  return stringWidth(line) <= width ? line : `${line.slice(0, width - 1)}…`
}

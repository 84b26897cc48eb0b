import { Command } from 'commander'
import type { RunRecord } from '../core/record.ts'
import { milliseconds } from './figures.ts'
import { fleetOption } from './fleet-address.ts'
import type { FleetFlags } from './on-fleet.ts'
import { printJson, printLines } from './output.ts'
import { endReport, interruptReport } from './report.ts'
import { readRecord } from './runs.ts'
import { oneLine, paragraph, type Screen, screenOn } from './screen.ts'
import { runWaterfall } from './waterfall.ts'
import { costInWords, interruptInWords } from './words.ts'

/** `explain RUN`: where the time of a recorded run went, drawn and in words. */
export function explainCommand(): Command {
  return new Command('explain')
    .description('where the time of a recorded run went: its waterfall, each interrupt, and in words')
    .argument('[run]', 'an id, the beginning of one, or `last`', 'last')
    .option('--json', 'one JSON document on stdout')
    .option('--config <file>', 'the configuration')
    .addOption(fleetOption('a run of a fleet'))
    .action(async (run: string, { json, ...from }: FleetFlags & { json?: boolean }) => {
      const record = await readRecord(run, from)
      if (json) printJson(explanation(record))
      else printLines(explanationLines(record, screenOn(process.stdout)))
    })
}

/** What `explain --json` prints: times in ms, shares from 0 to 1. */
export function explanation(record: RunRecord) {
  const { runId, pipeline, outcome, startedAt, durationMs, interrupts, cost } = record
  return {
    runId,
    pipeline,
    outcome,
    startedAt,
    durationMs,
    interrupts: interrupts.map((interrupt) => ({
      ...interrupt,
      phases: interrupt.phases.map((phase) => ({
        ...phase,
        ...(interrupt.toFirstTokenMs !== undefined &&
          interrupt.toFirstTokenMs > 0 && { share: phase.ms / interrupt.toFirstTokenMs }),
      })),
      inWords: interruptInWords(interrupt),
    })),
    cost,
    inWords: costInWords(record),
  }
}

/** Lines, unended. */
export function explanationLines(record: RunRecord, canvas: Pick<Screen, 'width' | 'paint'>): string[] {
  const { runId, pipeline, startedAt, durationMs, interrupts } = record
  const words = interrupts.flatMap((interrupt) => paragraph(interruptInWords(interrupt), canvas.width, '  '))
  return [
    canvas.paint('heading', oneLine(`${pipeline}, ${milliseconds(durationMs)}`, canvas.width)),
    canvas.paint('quiet', oneLine(`run ${runId}, ${startedAt.slice(0, 19).replace('T', ' ')} UTC`, canvas.width)),
    '',
    ...runWaterfall(record, canvas),
    ...interruptReport(record, canvas),
    ...(words.length > 0 ? ['', canvas.paint('heading', 'In words'), ...words] : []),
    ...endReport(record, canvas),
  ]
}

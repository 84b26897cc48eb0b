import { Command } from 'commander'
import { present } from '../core/present.ts'
import { milliseconds } from '../pages/figures.ts'
import { type ExplainedInterrupt, type Explanation, explain } from '../records/explaining/explanation.ts'
import { alternativeInWords, claimsOf, sentenceOf, unknownInWords } from './alternative-words.ts'
import { answersInWords } from './answer-words.ts'
import { besideRecord } from './beside.ts'
import { decisionLines } from './decision.ts'
import { explanationPage } from './explain-page/page.ts'
import { fleetOption, redisFileOption } from './fleet-address.ts'
import type { FleetFlags } from './on-fleet.ts'
import { printJson, printLines, remark } from './output.ts'
import { endReport, oneInterrupt } from './report.ts'
import { readRecord } from './runs.ts'
import { oneLine, paragraph, type Screen, screenOn } from './screen.ts'
import { runWaterfall } from './waterfall.ts'
import { callsInWords, clockInWords, costInWords, interruptInWords } from './words.ts'
import { writeWhole } from './write-file.ts'

/** `explain RUN`: where the time of a recorded run went, drawn and in words, and what would have been different. */
export function explainCommand(): Command {
  return new Command('explain')
    .description('where the time of a recorded run went: its waterfall, each interrupt, and in words')
    .argument('[run]', 'an id, the beginning of one, or `last`', 'last')
    .option('--html <file>', 'write it as a page that needs nothing else')
    .option('--json', 'one JSON document on stdout')
    .option('--config <file>', 'the configuration')
    .addOption(fleetOption('a run of a fleet'))
    .addOption(redisFileOption())
    .action(async (run: string, { json, html, ...from }: FleetFlags & { json?: boolean; html?: string }) => {
      const record = await readRecord(run, from)
      const explained = explain(record, await besideRecord(from))
      if (html !== undefined) await writeWhole(html, explanationPage(explained))
      if (json) printJson(explanation(explained))
      else if (html === undefined) printLines(explanationLines(explained, screenOn(process.stdout)))
      if (html !== undefined) remark(`wrote ${html}`)
    })
}

/** What `explain --json` prints: times in ms, shares from 0 to 1. */
export function explanation({ record, interrupts, clockErrors }: Explanation) {
  const { runId, pipeline, outcome, startedAt, durationMs, cost } = record
  const remarks = callsInWords(record)
  return {
    runId,
    pipeline,
    outcome,
    startedAt,
    durationMs,
    interrupts: interrupts.map((explained) => ({
      ...explained.interrupt,
      ...present({ during: explained.during }),
      phases: explained.interrupt.phases.map((phase) => ({ ...phase, ...shareOf(phase.ms, explained) })),
      alternatives: explained.alternatives.map((alternative) => ({
        ...alternative,
        inWords: sentenceOf(alternativeInWords(alternative, explained)),
      })),
      unknown: explained.unknown.map((unknown) => ({ ...unknown, inWords: sentenceOf(unknownInWords(unknown)) })),
      inWords: interruptInWords(explained.interrupt),
    })),
    cost,
    answers: answersInWords(record),
    ...(remarks.length > 0 && { remarks }),
    ...(clockErrors.length > 0 && { clockErrors }),
    inWords: costInWords(record),
  }
}

function shareOf(ms: number, { interrupt: { toFirstTokenMs } }: ExplainedInterrupt): { share?: number } {
  return toFirstTokenMs === undefined || toFirstTokenMs <= 0 ? {} : { share: ms / toFirstTokenMs }
}

/** Lines, unended. */
export function explanationLines(explained: Explanation, canvas: Pick<Screen, 'width' | 'paint'>): string[] {
  const { record, interrupts, clockErrors } = explained
  const { runId, pipeline, startedAt, durationMs } = record
  const prose = (text: string) => paragraph(text, canvas.width, '  ')
  return [
    canvas.paint('heading', oneLine(`${pipeline}, ${milliseconds(durationMs)}`, canvas.width)),
    canvas.paint('quiet', oneLine(`run ${runId}, ${startedAt.slice(0, 19).replace('T', ' ')} UTC`, canvas.width)),
    '',
    ...runWaterfall(record, canvas),
    ...interrupts.flatMap((each, index) => {
      const claims = claimsOf(each)
      return [
        ...oneInterrupt(each.interrupt, index, interrupts.length, canvas),
        '',
        ...decisionLines(each, canvas),
        '',
        ...prose(interruptInWords(each.interrupt)),
        ...(claims.length > 0 ? ['', `  ${canvas.paint('heading', 'What would have been different')}`] : []),
        ...claims.flatMap((claim) => paragraph(sentenceOf(claim), canvas.width, '  - ', '    ')),
      ]
    }),
    ...endReport(record, canvas),
    ...clockErrors.flatMap((error) => paragraph(clockInWords(error), canvas.width)),
  ]
}

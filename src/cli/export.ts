import { Command } from 'commander'
import { exportRuns } from '../app/observing.ts'
import { withoutPassword } from '../core/address.ts'
import { counted } from '../pages/figures.ts'
import { fleetOption, redisFileOption } from './fleet-address.ts'
import type { FleetFlags } from './on-fleet.ts'
import { printJson, printLines, remark } from './output.ts'
import { readRecord } from './runs.ts'

/** `export RUN… --otlp URL`: sends the spans of recorded runs, the same ones each time. Exit 1 where not all of them could be sent. */
export function exportCommand(): Command {
  return new Command('export')
    .description('send the spans of recorded runs to a collector; the same ids each time')
    .argument('<run...>', 'an id, the beginning of one, or `last`')
    .requiredOption('--otlp <url>', 'the collector (OTLP over HTTP), such as http://127.0.0.1:4318')
    .option('--json', 'one JSON document on stdout')
    .option('--config <file>', 'the configuration')
    .addOption(fleetOption('runs of a fleet'))
    .addOption(redisFileOption())
    .action(async (runs: string[], flags: FleetFlags & { otlp: string; json?: boolean }) => {
      const { otlp: url, json, ...from } = flags
      const records = []
      for (const run of runs) records.push(await readRecord(run, from))
      const { sent, dropped } = await exportRuns(records, { url, environment: process.env, log: remark })
      const shown = withoutPassword(url)
      if (json)
        printJson({ url: shown, runs: records.map(({ runId, traceId }) => ({ runId, traceId })), sent, dropped })
      else
        printLines([
          `${counted(sent, 'span')} of ${counted(records.length, 'run')} sent to ${shown}.`,
          ...records.map(({ runId, traceId }) => `  run ${runId}: trace ${traceId}`),
        ])
      if (dropped > 0) process.exitCode = 1
    })
}

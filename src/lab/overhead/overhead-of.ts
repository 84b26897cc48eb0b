import { present } from '../../core/present.ts'
import { phaseNames, type RunRecord } from '../../core/record.ts'
import type { Execution } from '../../core/trial.ts'
import { medianOf } from '../statistics/median-interval.ts'
import { quantileOf } from '../statistics/quantile.ts'
import { answerFrom } from './answer.ts'
import { type Block, blocksOf, firstToken, rounded } from './blocks.ts'
import { cautionsOn, scopeOf, serverInWords } from './cautions.ts'
import { contrastsFrom } from './contrasts.ts'
import { type CellPlan, type OverheadDesign, readDesign, serverName, subjectOf } from './design.ts'
import { replicationOf } from './replication.ts'
import type { Cell, Overhead } from './result.ts'
import { type Sample, sampleOf } from './sample.ts'
import { slopesFrom } from './slopes.ts'

/**
 * All figures of an execution of `overhead`, from what was kept of it alone: the same records give the same result, in whatever
 * order. Throws `CAESURA_E_EXPERIMENT` for an execution of something else.
 */
export function overheadOf(execution: Execution, records: readonly RunRecord[]): Overhead {
  const design = readDesign(execution.execution, execution.design)
  const cells = new Map(design.cells.map((cell) => [cell.id, cell]))
  const inOrder = [...records].sort(
    (a, b) => (a.experiment?.trial ?? 0) - (b.experiment?.trial ?? 0) || a.runId.localeCompare(b.runId),
  )
  const samples = inOrder.flatMap((record): Sample[] => {
    const { arm = '', warmUp } = record.experiment ?? {}
    const cell = cells.get(arm)
    return cell === undefined || warmUp ? [] : [sampleOf(record, cell)]
  })
  const blocks = blocksOf(samples)
  const subject = subjectOf(design)
  const contrasts = contrastsFrom(blocks, design)
  const slopes = slopesFrom(blocks, design)
  const replication = replicationOf(blocks, design, subject)
  const inProcess = replicationOf(blocks, design, 'in-process')
  const firstOf = (wanted: string) => contrasts.find(({ name }) => name === wanted)
  const slope = slopes.find(({ transport, handoff }) => transport === subject && handoff === 'drain')
  const promptTokens = medianOf(samples.filter(isPlain).map((sample) => sample.promptTokens))
  return {
    schema: 'caesura.overhead/1',
    execution: execution.execution,
    startedAt: execution.startedAt,
    durationMs: lengthOf(execution, inOrder),
    quick: design.quick,
    setting: {
      model: design.model,
      seed: design.seed,
      blocks: blocks.length,
      maxTokens: design.maxTokens,
      ...present({ promptTokens }),
      servers: design.servers.map(({ name, version, address }) => ({
        name,
        ...present({ version, address }),
      })),
      skipped: design.skipped,
    },
    contrasts,
    slopeInsideFirstStage: present({ value: slope?.value, interval: slope?.interval }),
    slopes,
    replication,
    replicationInProcess: inProcess,
    cells: design.cells.map((cell) => cellFigures(cell, blocks, design)),
    warmUps: inOrder.filter(({ experiment }) => experiment?.warmUp && cells.has(experiment.arm)).length,
    cautions: cautionsOn({ samples, blocks, contrasts, design, execution }),
    scope: scopeOf(design, contrasts),
    ...answerFrom({
      transport: firstOf('transport'),
      drain: firstOf('drain'),
      observed: contrasts.find(({ name, server }) => name === 'drain' && server === `${serverName(subject)}, observed`),
      ...{ runs: replication, inProcess, server: serverInWords(design) },
    }),
  }
}

const isPlain = ({ cell }: Sample) => cell.interrupt === 'none' && cell.prefix === 'shared'

/** To its end, or to the last record's where the process was killed. */
function lengthOf({ startedAt, ended }: Execution, records: readonly RunRecord[]): number {
  const start = Date.parse(startedAt)
  const last = records.reduce((end, record) => Math.max(end, Date.parse(record.startedAt) + record.durationMs), start)
  return Math.round((ended === undefined ? last : Date.parse(ended.at)) - start)
}

function cellFigures(plan: CellPlan, blocks: readonly Block[], { maxTokens, shortTokens }: OverheadDesign): Cell {
  const samples = blocks.flatMap((block) => block.get(plan.id) ?? [])
  const values = samples.flatMap((sample) => firstToken(sample) ?? []).sort((a, b) => a - b)
  const { id, transport, interrupt, handoff, slots, connection, prefix, load, answer } = plan
  return {
    ...{ id, transport, interrupt, handoff, slots, connection, prefix, load },
    maxTokens: answer === 'short' ? shortTokens : maxTokens,
    n: values.length,
    lost: samples.filter(({ lost }) => lost).length,
    ...(values.length > 0 && {
      p50Ms: rounded(quantileOf(values, 0.5)),
      p95Ms: rounded(quantileOf(values, 0.95)),
      phases: medianPhases(samples),
    }),
  }
}

function medianPhases(samples: readonly Sample[]): NonNullable<Cell['phases']> {
  const reached = samples.filter((sample) => firstToken(sample) !== undefined)
  return phaseNames
    .map((name) => ({ name, ms: rounded(medianOf(reached.map(({ phases }) => phases[name] ?? 0)) ?? 0) }))
    .filter(({ ms }) => ms > 0)
}

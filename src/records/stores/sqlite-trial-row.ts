import type { ExperimentArm } from '../../core/record.ts'
import type { Trial } from '../../core/trial.ts'

export const WRITE_TRIAL = `
  INSERT INTO trials (sequence, experiment, execution, session, started_unix_ms, run_id, trial) VALUES (?, ?, ?, ?, ?, ?, ?)
`

/** What follows the sequence in `WRITE_TRIAL`. */
export const trialRow = ({ name, execution = '' }: ExperimentArm, trial: Trial) =>
  [name, execution, trial.session, trial.startedUnixMs, trial.runId, JSON.stringify(trial)] as const

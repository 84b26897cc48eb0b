import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'
import base from './vitest.config.ts'

/** Tables first, random runs last: the first test that fails ends a mutant. */
const rank = ({ moduleId }: TestSpecification): number =>
  moduleId.includes('/policies/') ? 0 : /\/(algebra|retry)\.test/.test(moduleId) ? 2 : 1

class QuickFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return files.toSorted((a, b) => rank(a) - rank(b) || a.moduleId.localeCompare(b.moduleId))
  }
}

/** What `npm run mutation` runs for each mutant: the tests of policies and machines that run in this process, in virtual time. */
export default defineConfig({
  ...base,
  test: {
    ...base.test,
    include: ['test/policies/**/*.test.ts', 'test/machines/**/*.test.ts'],
    // None of them looks at a run of what is mutated: they compare drawings, check pipelines, and make mutants of their own.
    exclude: [
      'test/machines/diagram.test.ts',
      'test/machines/contradictions.test.ts',
      'test/policies/response-mutations.test.ts',
    ],
    sequence: { sequencer: QuickFirst },
    // A worker for each file costs more than the tests in it.
    isolate: false,
    setupFiles: ['test/machines/same-seed.ts'],
    // A run that waits for ever fails here, which is quicker than to be stopped by Stryker.
    testTimeout: 2500,
    env: { INTERLEAVINGS: '60', SEED: '4' },
  },
})

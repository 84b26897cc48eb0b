import { describeMainJob } from '../conformance/main-job.ts'

describeMainJob('the bundled model', ['--backend', 'embedded'])

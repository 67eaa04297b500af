import { bulk } from './bulk.ts'
import { decoder } from './decoder.ts'
import { echo } from './echo.ts'
import { guard } from './guard.ts'
import { options } from './options.ts'
import { nodes } from './nodes.ts'
import type { Fuzzer } from './fuzzer.ts'

export const FUZZERS: Fuzzer[] = [echo, decoder, guard, nodes, bulk, options]

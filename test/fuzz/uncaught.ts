import { messageOf } from './promises.ts'

export interface Uncaught {
  throwAny(): void
  stop(): void
}

/**
 * Nothing may be thrown, or rejected, where nobody can catch it
 */
export function watchUncaught (): Uncaught {
  const errors: unknown[] = []
  const onError = (err: unknown): void => { errors.push(err) }

  process.on('uncaughtException', onError)
  process.on('unhandledRejection', onError)

  return {
    throwAny: () => {
      if (errors.length > 0) {
        throw new Error(`nobody could catch ${errors.splice(0).map(messageOf).join(', ')}`)
      }
    },
    stop: () => {
      process.off('uncaughtException', onError)
      process.off('unhandledRejection', onError)
    }
  }
}

import Table from 'cli-table3'
import { print } from './print.ts'
import type { Summary } from './statistics.ts'

export function printTable (head: string[], rows: string[][]): void {
  const table = new Table({
    head,
    colAligns: head.map((_, i) => i < 2 ? 'left' : 'right'),
    style: { head: [], border: [], compact: true }
  })
  table.push(...rows)

  print(table.toString())
}

export function number (value: number, digits = 0): string {
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

/**
 * The median, and where half of the samples are
 */
export function spread ({ median, low, high }: Summary, digits = 0): string {
  return `${number(median, digits)} (${number(low, digits)} to ${number(high, digits)})`
}

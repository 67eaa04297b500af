/**
 * How long everything takes through the link, one way, in ms
 */
export const LINK_DELAY = 25

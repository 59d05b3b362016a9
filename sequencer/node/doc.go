// Package node runs a sequencer node in one process: CometBFT, the chain's
// application, a validator's part in dispersal, and the API that bundles come in by and
// the order goes out by.
//
// In comes a home directory, laid out as Cosmos operators know it, which InitHome
// or InitNetwork made; out goes a node that takes part in the network until its
// context ends. What holds always: every port is taken before anything else
// starts; the API and dispersal stop first and the stores close last; a node that can
// no longer follow the chain stops with an error and does not stay around half alive.
package node

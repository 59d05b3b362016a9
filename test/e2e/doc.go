// Package e2e tests Ordo as its users meet it: it builds the binary, starts
// `ordo devnet`, talks to it with go-ethereum's client and with viem, kills
// processes of it, and looks at what is on chain afterwards. With -short only the
// basic flow runs.
package e2e

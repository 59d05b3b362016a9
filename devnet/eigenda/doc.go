// Package eigenda runs the real eigenda-proxy on one machine, with the proxy's own
// in-memory backend in place of EigenDA's network: for devnets and tests.
//
// In come options and a binary that `make eigenda-bin` built; out goes a process that
// answers the proxy's REST API on loopback. What always holds: nothing leaves the
// machine; the process does not outlive its parent (on Linux, however that ends). What
// does not hold: the backend lives in memory, so that everything ever put is gone when
// the process ends, and a certificate from before is then unknown for good. No
// certificate of the backend proves anything; they are made of random numbers.
package eigenda

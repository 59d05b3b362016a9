// The proxy's module names its test clients as a requirement and replaces them by
// a folder of its own, which reaches nobody who requires it. Nothing in the proxy's
// binary imports them: this empty module stands in.
module github.com/Layr-Labs/eigenda-proxy/clients

go 1.22.0

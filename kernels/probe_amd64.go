//go:build !purego

package kernels

// Probes of the machine's limits for benches; see _gen/probe.go.

func probeTDPBUSD(a int)

func probeVPDPBUSD(a int)

//go:noescape
func probeRead(a *byte, n int)

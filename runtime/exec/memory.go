package exec

import (
	"qpt/internal/num"
)

// Working memory that no graph needs: a small hostile file could ask for more
// than the machine has. The largest published Llama needs 0.3 GiB for one
// token; the rest of a pass is made to fit by maxBuffers.
const (
	maxWorking = 4 << 30
	maxBuffers = 1 << 30
	maxWorkers = 64 // assumed
)

// leastMemory is what a State takes for a pass of one token, in bytes: the first
// chunk of every KV cache and rotary table, and the scratch of the workers. A
// float64, since the numbers of a hostile graph may overflow an int.
func (p *Program) leastMemory() float64 {
	const chunk = 256 // positions
	var n, scratch float64
	for _, c := range p.caches {
		head := float64(num.Pad(c.HeadDim, 32))
		n += float64(c.KVHeads) * 2 * chunk * head * 4
		scratch = max(scratch, float64(max(64, c.Heads/c.KVHeads))*(2*head+40)*4+1024*head)
	}
	for _, r := range p.ropes {
		n += chunk * float64(len(r.Freqs)) * 8
	}
	var widest int
	for _, v := range p.values {
		widest = max(widest, v.width)
	}
	return n + p.rowMemory() + maxWorkers*(scratch+4*float64(widest))
}

// rowMemory is the size of the buffers for one token of a pass.
func (p *Program) rowMemory() float64 {
	n := 8.0
	for _, s := range p.slots {
		n += 4 * float64(s.width)
	}
	for _, a := range p.acts {
		n += 6 * float64(num.Pad(a.k, 64)+64)
	}
	return n
}

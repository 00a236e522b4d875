package exec

import (
	"qpt/internal/num"
	"qpt/kernels/attn"
)

// Working memory that no graph needs: a small hostile file could ask for more
// than the machine has. The largest published Llama needs 0.3 GiB for one
// token; the rest of a pass is made to fit by MaxRows.
const (
	maxWorking = 4 << 30
	maxBuffers = 1 << 30
	maxWorkers = 64 // assumed
)

// leastMemory is what a pass of one row takes, in bytes: the first
// page of every KV cache and rotary table, and the scratch of the workers. A
// float64, since the numbers of a hostile graph may overflow an int.
func (p *Program) leastMemory() float64 {
	const page = 256 // positions
	var n, scratch float64
	for _, c := range p.caches {
		head := float64(num.Pad(c.HeadDim, 32))
		n += float64(c.KVHeads) * 2 * page * head * 4
		scratch = max(scratch, float64(max(64, c.Heads/c.KVHeads))*(2*head+40)*4+1024*head)
	}
	for _, r := range p.ropes {
		n += page * float64(len(r.Freqs)) * 8
	}
	var widest int
	for _, v := range p.values {
		widest = max(widest, v.width)
	}
	return n + p.rowMemory(1) + maxWorkers*(scratch+4*float64(widest))
}

// rowMemory is the size of the buffers for a pass whose symbols are all n, in bytes, but one row wanted of one sequence.
func (p *Program) rowMemory(n float64) float64 {
	slots := make([]float64, p.slots)
	for i := range p.values {
		v := &p.values[i]
		if v.slot < 0 {
			continue
		}
		size := 4 * float64(v.width)
		if v.bytes {
			size /= 4
		}
		for _, d := range v.lead {
			switch {
			case d >= 0:
				size *= float64(d)
			case int(-1-d) != p.symR && int(-1-d) != p.symS:
				size *= n
			}
		}
		slots[v.slot] = max(slots[v.slot], size)
	}
	sum := 8 * n
	for _, s := range slots {
		sum += s
	}
	for _, a := range p.acts {
		sum += 6 * n * float64(num.Pad(a.k, 64)+64)
	}
	return sum
}

// MaxRows is the most rows of tokens of one pass whose buffers stay within a gigabyte.
func (p *Program) MaxRows() int {
	one, two := p.rowMemory(1), p.rowMemory(2)
	return max(int((maxBuffers-one)/max(two-one, 1)), 1)
}

// KVBytes is the most that n positions of a sequence take in bytes, with keys and values of type kv, when a pass has just brought rows of
// them: of a layer with a window what is in it, attn.Slack, and those rows.
func (p *Program) KVBytes(kv attn.KVType, n, rows int) int64 {
	sum := 0
	for _, c := range p.caches {
		sum += attn.PageBytes(kv, c.KVHeads, c.HeadDim, c.Values) * attn.PagesFor(n, kept(c), rows)
	}
	return int64(sum)
}

// SameUpTo is the length up to which what a sequence holds does not depend on how it was appended; 0: any. RoPE that
// goes by the length makes the difference.
func (p *Program) SameUpTo() int {
	n := 0
	for _, r := range p.ropes {
		if m := r.MaxPos(); m > 0 && (n == 0 || m < n) {
			n = m
		}
	}
	return n
}

package exec

import (
	"fmt"
	"math"

	"qpt/format/graph"
)

func init() {
	register("sequence_pool", func(c *Compiler, i int) error {
		if c.symS < 0 {
			return fmt.Errorf("pools without the symbol S")
		}
		c.whole = true
		c.step(i, &sequencePoolStep{name: c.nodes[i].Name, what: c.nodes[i].Op.(graph.SequencePool).Func, x: c.in(i, 0), out: c.out(i)})
		return nil
	})
}

// sequencePoolStep makes one row of the rows of each part; an item is a part.
type sequencePoolStep struct {
	name, what string
	x, out     int
}

func (st *sequencePoolStep) node() string       { return st.name }
func (st *sequencePoolStep) reads() []int       { return []int{st.x} }
func (st *sequencePoolStep) writes() []int      { return []int{st.out} }
func (st *sequencePoolStep) items(f *frame) int { return len(f.segs) }

func (st *sequencePoolStep) do(f *frame, worker, item int) {
	s, dst := f.segs[item], f.rowOf(st.out, item)
	switch st.what {
	case "first":
		copy(dst, f.rowOf(st.x, s.r0))
		return
	case "last":
		copy(dst, f.rowOf(st.x, s.r0+s.n-1))
		return
	case "max":
		copy(dst, f.rowOf(st.x, s.r0))
		for r := s.r0 + 1; r < s.r0+s.n; r++ {
			for j, v := range f.rowOf(st.x, r) {
				dst[j] = max(dst[j], v)
			}
		}
		return
	}
	divisor := float64(s.n)
	switch st.what {
	case "mean_sqrt":
		divisor = math.Sqrt(divisor)
	case "weighted_mean":
		divisor = divisor * (divisor + 1) / 2
	}
	var sums [64]float64 // of so many columns
	for j0 := 0; j0 < len(dst); j0 += len(sums) {
		part := dst[j0:min(j0+len(sums), len(dst))]
		clear(sums[:])
		for i := range s.n {
			x, weight := f.rowOf(st.x, s.r0+i)[j0:j0+len(part)], 1.0
			if st.what == "weighted_mean" {
				weight = float64(i + 1)
			}
			for j, v := range x {
				sums[j] += weight * float64(v)
			}
		}
		for j := range part {
			part[j] = float32(sums[j] / divisor)
		}
	}
}

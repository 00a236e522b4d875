package exec

import "qpt/format/graph"

func init() {
	register("unfold", func(c *Compiler, i int) error {
		c.whole = true
		c.step(i, &unfoldStep{name: c.nodes[i].Name, size: c.nodes[i].Op.(graph.Unfold).Size, x: c.in(i, 0), out: c.out(i)})
		return nil
	})
}

// unfoldStep puts neighbours side by side; an item is a part.
type unfoldStep struct {
	name         string
	size, x, out int
}

func (st *unfoldStep) node() string       { return st.name }
func (st *unfoldStep) reads() []int       { return []int{st.x} }
func (st *unfoldStep) writes() []int      { return []int{st.out} }
func (st *unfoldStep) items(f *frame) int { return len(f.segs) }

func (st *unfoldStep) do(f *frame, worker, item int) {
	s := f.segs[item]
	for r := range s.n {
		dst := f.rowOf(st.out, s.r0+r)
		d := len(dst) / st.size
		clear(dst)
		for i := range st.size {
			if at := r + i - st.size/2; at >= 0 && at < s.n {
				copy(dst[i*d:], f.rowOf(st.x, s.r0+at))
			}
		}
	}
}

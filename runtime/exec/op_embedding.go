package exec

import (
	"fmt"

	"qpt/kernels/linear"
)

// smallTable is the most values of a table, of positions or of types, of which a program keeps the rows as float32: row after row in memory, not
// one value in each of many lines.
const smallTable = 1 << 18

func init() {
	register("embedding", func(c *Compiler, i int) error {
		n := &c.nodes[i]
		table, err := c.w.Linear(n.Params[0], "")
		if err != nil {
			return err
		}
		w, width := table.Weight, c.values[c.out(i)].width
		if w.K != width {
			return fmt.Errorf("parameter %q has rows of %d values, the graph wants %d", n.Params[0], w.K, width)
		}
		if err := c.inRange(i, 0, w.N, fmt.Sprintf("table %q", n.Params[0])); err != nil {
			return err
		}
		if size := w.N * width; size <= smallTable {
			rows := linear.Floats(size)
			for id := range w.N {
				linear.EmbedRow(rows[id*width:][:width], w, id)
			}
			c.row(i, &rowOp{fn: func(f *frame, op *rowOp, dst []float32, r int) {
				copy(dst, rows[int(f.ints[op.src[0]][r])*width:])
			}})
			return nil
		}
		c.row(i, &rowOp{fn: func(f *frame, op *rowOp, dst []float32, r int) {
			linear.EmbedRow(dst, w, int(f.ints[op.src[0]][r]))
		}})
		return nil
	})
}

package export

import (
	"fmt"

	"qpt/format/graph"
)

func init() {
	for r := 1; r <= 3; r++ {
		pool := func(c *call) ([]*tensor, error) {
			kernel := c.ints("kernel_size", r)
			op := graph.Pool{Func: "max", Kernel: kernel, Ceil: c.bool("ceil_mode", false)}
			op.Window = c.window(r, kernel)
			return c.spatial("self", r, op)
		}
		ops[fmt.Sprintf("max_pool%dd", r)], ops[fmt.Sprintf("max_pool%dd_with_indices", r)] = pool, pool
		ops[fmt.Sprintf("avg_pool%dd", r)] = func(c *call) ([]*tensor, error) {
			kernel := c.ints("kernel_size", r)
			op := graph.Pool{Func: "mean", Kernel: kernel, Ceil: c.bool("ceil_mode", false), Padded: c.bool("count_include_pad", true), Divisor: c.int("divisor_override", 0)}
			op.Window = c.window(r, kernel)
			if op.Divisor > 0 || op.Pad == nil {
				op.Padded = false
			}
			return c.spatial("self", r, op)
		}
		for _, kind := range []struct{ name, fn string }{{"adaptive_avg_pool", "mean"}, {"_adaptive_avg_pool", "mean"}, {"adaptive_max_pool", "max"}} {
			ops[fmt.Sprintf("%s%dd", kind.name, r)] = func(c *call) ([]*tensor, error) {
				return c.spatial("self", r, graph.AdaptivePool{Func: kind.fn, Size: c.ints("output_size", r)})
			}
		}
	}
}

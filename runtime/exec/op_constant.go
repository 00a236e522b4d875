package exec

import "fmt"

func init() {
	register("constant", func(c *Compiler, i int) error {
		out, n := c.out(i), 1
		for _, d := range c.values[out].Shape {
			n *= int(d)
		}
		data, err := c.w.Vector(c.nodes[i].Params[0])
		if err != nil {
			return err
		}
		if len(data) != n {
			return fmt.Errorf("parameter %q has %d values, the graph wants %d", c.nodes[i].Params[0], len(data), n)
		}
		c.consts = append(c.consts, constant{out, data})
		c.made[out] = true
		c.record(i)
		return nil
	})
}

// constant is a value that is the same in every pass.
type constant struct {
	value int
	data  []float32
}

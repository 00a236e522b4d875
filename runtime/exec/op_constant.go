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
		c.constant(i, data)
		return nil
	})
}

// constant is what node i always gives.
func (c *Compiler) constant(i int, data []float32) {
	out := c.out(i)
	if k, ok := c.stored[out]; ok { // the numbers that its codes mean, so that it is float32 and codes at once
		u := make([]byte, len(data))
		k.encode(u, data)
		data = make([]float32, len(data))
		k.decode(data, u)
	}
	c.consts = append(c.consts, constant{out, data})
	c.made[out] = true
	c.record(i)
}

// constant is a value that is the same in every pass.
type constant struct {
	value int
	data  []float32
}

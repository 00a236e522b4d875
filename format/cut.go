package format

import "fmt"

// cutter cuts what a section of references holds off its bytes. The first cut that finds fewer is an error that sticks, and from then on
// all is empty or 0, so that nothing is allocated for a size that a file only claims.
type cutter struct {
	b   []byte
	err error
}

func (c *cutter) fail(format string, a ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("%w: "+format, append([]any{ErrReferences}, a...)...)
	}
}

// bytes are the next n.
func (c *cutter) bytes(n uint64) []byte {
	if n > uint64(len(c.b)) {
		c.fail("cut short")
	}
	if c.err != nil {
		return nil
	}
	x := c.b[:n:n]
	c.b = c.b[n:]
	return x
}

// words are n numbers of 32 bits, few enough to stand in a head.
func (c *cutter) words(n int) []uint64 {
	list := make([]uint64, n)
	for i, x := range c.ints(uint64(n)) {
		list[i] = uint64(uint32(x))
	}
	return list
}

func (c *cutter) ints(n uint64) []int32     { return ints(c.bytes(4 * n)) } // n below 2^62
func (c *cutter) floats(n uint64) []float32 { return floats(c.bytes(4 * n)) }

// end is the error, or one about bytes that nothing has cut off.
func (c *cutter) end() error {
	if len(c.b) != 0 {
		c.fail("%d bytes too many", len(c.b))
	}
	return c.err
}

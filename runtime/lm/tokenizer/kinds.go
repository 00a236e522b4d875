package tokenizer

import "slices"

// kind is one normalizer or pre-tokenizer of the library, told in one place:
// how it is made of its attributes, and at most how many times as long it
// makes a text (nil: no longer).
type kind[T any] struct {
	make   func(c *component) (T, error)
	growth func(c *component) int
}

// times is a growth that no attribute changes.
func times(n int) func(*component) int { return func(*component) int { return n } }

// steps are the parts of a Sequence, at any depth, or c itself.
func (c *component) steps() (list []*component) {
	if c == nil {
		return nil
	}
	if c.Type != "Sequence" {
		return []*component{c}
	}
	for _, parts := range [][]component{c.Normalizers, c.PreTokenizers, c.Decoders} {
		for i := range parts {
			list = append(list, parts[i].steps()...)
		}
	}
	return list
}

// maxGrowth bounds what a text may become on its way, so that a hostile file
// cannot turn a word into gigabytes. U+2581 for a space is 3, bytes as letters 2.
const maxGrowth = 1024

// build makes the steps of c. what names them in errors.
func build[T any](what string, kinds map[string]kind[T], c *component) (all []T, err error) {
	growth := 1
	for _, s := range c.steps() {
		k, ok := kinds[s.Type]
		if !ok {
			return nil, unsupported("%s %q", what, s.Type)
		}
		one, err := k.make(s)
		if err != nil {
			return nil, err
		}
		if k.growth != nil {
			if growth *= min(k.growth(s), maxGrowth+1); growth > maxGrowth {
				return nil, unsupported("a %s that makes a text more than %d times as long", what, maxGrowth)
			}
		}
		all = append(all, one)
	}
	return all, nil
}

// backtracks reports whether a pattern of c is left to regexp2.
func (c *component) backtracks() bool {
	return slices.ContainsFunc(c.steps(), func(s *component) bool {
		return s.Pattern != nil && s.Pattern.Regex != nil && (s.Pattern.scanner() == nil || s.Behavior != "Isolated")
	})
}

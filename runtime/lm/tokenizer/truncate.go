package tokenizer

import "fmt"

// Truncation is the key of tokenizer.json.
type Truncation struct {
	MaxLength int    `json:"max_length"`
	Strategy  string `json:"strategy,omitempty"`  // LongestFirst (default), OnlyFirst, OnlySecond
	Stride    int    `json:"stride,omitempty"`    // of pieces beyond the first, which are dropped here
	Direction string `json:"direction,omitempty"` // Right (default): the end is cut off; Left
}

func (c *Truncation) check() error {
	if c == nil {
		return nil
	}
	if c.MaxLength < 0 || c.Stride < 0 {
		return bad("truncation: max_length %d, stride %d", c.MaxLength, c.Stride)
	}
	switch c.Strategy {
	case "", "LongestFirst", "OnlyFirst", "OnlySecond":
	default:
		return unsupported("truncation: strategy %q", c.Strategy)
	}
	switch c.Direction {
	case "", "Right", "Left":
	default:
		return unsupported("truncation: direction %q", c.Direction)
	}
	return nil
}

// MaxLength is the bound of tokenizer.json, 0 if it has none.
func (t *Tokenizer) MaxLength() int {
	if t.cfg.Truncation == nil {
		return 0
	}
	return t.cfg.Truncation.MaxLength
}

// truncate cuts the texts so that together with added more tokens they are
// most at most (0: as the file says, negative: no bound).
func (t *Tokenizer) truncate(texts [][]int32, most, added int) error {
	var how Truncation
	if t.cfg.Truncation != nil {
		how = *t.cfg.Truncation
	} else if most == 0 {
		return nil
	}
	if most < 0 {
		return nil
	}
	if most == 0 {
		most = how.MaxLength
	}
	if most -= added; most < 0 {
		return fmt.Errorf("%w: at most %d tokens, of which the template takes %d", ErrLength, most+added, added)
	}
	total := 0
	for _, x := range texts {
		total += len(x)
	}
	if total <= most {
		return nil
	}
	cut := func(i, n int) {
		if x := texts[i]; n < len(x) && how.Direction == "Left" {
			texts[i] = x[len(x)-n:]
		} else {
			texts[i] = x[:min(n, len(x))]
		}
	}
	only := 0
	switch {
	case most == 0:
		for i := range texts {
			cut(i, 0)
		}
		return nil
	case how.Strategy == "OnlySecond":
		if only = 1; len(texts) < 2 {
			return fmt.Errorf("%w: the file wants the second cut, and there is one only", ErrLength)
		}
	case how.Strategy == "" || how.Strategy == "LongestFirst":
		if len(texts) == 2 {
			a, b := longestFirst(len(texts[0]), len(texts[1]), most)
			cut(0, a)
			cut(1, b)
			return nil
		}
	}
	n := len(texts[only]) - (total - most)
	if n <= 0 && len(texts) == 2 || n < 0 {
		return fmt.Errorf("%w: text %d has %d tokens, of which %d are too many", ErrLength, only+1, len(texts[only]), total-most)
	}
	cut(only, n)
	return nil
}

// longestFirst shares most among a and b tokens: the shorter keeps all while it
// is the shorter; else both get half, the second the odd one.
func longestFirst(a, b, most int) (int, int) {
	short, long := min(a, b), max(a, b)
	if short <= most {
		long = max(short, most-short)
	}
	if short+long > most {
		short = most / 2
		long = short + most%2
	}
	if a > b {
		return long, short
	}
	return short, long
}

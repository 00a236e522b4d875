package tokenizer

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// The scripts that the library tells apart, a line of ranges each; testdata/gen/scripts.py asks it for each character.
//
//go:embed scripts.txt
var scriptsText string

// scriptRange is characters of one script, numbered from 1.
type scriptRange struct {
	low, high rune
	script    int
}

var scriptRanges = sync.OnceValue(func() (list []scriptRange) {
	script := 0
	for line := range strings.Lines(scriptsText) {
		script++
		for _, w := range strings.Fields(line) {
			var low, high rune
			if n, _ := fmt.Sscanf(w, "%x-%x", &low, &high); n == 1 {
				high = low
			}
			list = append(list, scriptRange{low, high, script})
		}
	}
	slices.SortFunc(list, func(a, b scriptRange) int { return int(a.low - b.low) })
	return list
})

// scriptOf is a character's script, 0 for one that belongs to what is before it.
func scriptOf(ranges []scriptRange, r rune) int {
	i, found := slices.BinarySearchFunc(ranges, r, func(x scriptRange, r rune) int { return int(x.low - r) })
	if !found {
		i--
	}
	if i < 0 || r > ranges[i].high {
		return 0
	}
	return ranges[i].script
}

// scriptSplitter cuts where the script changes. What stands before the first character of a script is lost, as in the library.
func scriptSplitter() splitter {
	ranges := scriptRanges()
	return func(s string, first bool, emit emitter) error {
		at, last := -1, 0
		for i, r := range s {
			script := scriptOf(ranges, r)
			if script == 0 || script == last {
				continue
			}
			if at >= 0 {
				if err := emit(s[at:i], first && at == 0); err != nil {
					return err
				}
			}
			at, last = i, script
		}
		if at < 0 {
			return nil
		}
		return emit(s[at:], first && at == 0)
	}
}

package safetensors

import (
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// index is a parsed index file.
type index struct {
	weightMap map[string]string // tensor -> file name
	totalSize string            // as written; "" if there is none
	unknown   []string          // keys that are not known, first few
}

// openIndex opens all shards of an index file and holds them against it.
func (c *Checkpoint) openIndex(path string) error {
	ix, err := readIndex(path)
	if err != nil {
		return err
	}
	shards := slices.Compact(slices.Sorted(maps.Values(ix.weightMap)))
	for _, shard := range shards {
		h, err := c.addFile(filepath.Join(filepath.Dir(path), shard))
		if err != nil {
			return fmt.Errorf("%s: shard %s: %w", path, clip(shard), err)
		}
		for _, t := range h.tensors {
			if want, ok := ix.weightMap[t.Name]; !ok {
				return fmt.Errorf("%s: %w: tensor %s is in shard %s, but not in weight_map", path, ErrIndex, clip(t.Name), clip(shard))
			} else if want != shard {
				return fmt.Errorf("%s: %w: tensor %s is in shard %s, weight_map says %s", path, ErrIndex, clip(t.Name), clip(shard), clip(want))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(ix.weightMap)) {
		if c.tensors[name] == nil {
			return fmt.Errorf("%s: %w: tensor %s is not in shard %s", path, ErrIndex, clip(name), clip(ix.weightMap[name]))
		}
	}
	total := int64(0)
	for _, t := range c.tensors {
		total += t.size
	}
	if ix.totalSize != "" && ix.totalSize != strconv.FormatInt(total, 10) {
		c.warn("%s: total_size is %.40s, the tensors have %d bytes", path, ix.totalSize, total)
	}
	if ix.unknown != nil {
		c.warn("%s: unknown keys: %s", path, strings.Join(ix.unknown, ", "))
	}
	return nil
}

func readIndex(path string) (*index, error) {
	f, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer f.close()
	if f.size > maxHeader {
		return nil, fmt.Errorf("%s: %w: found %d bytes, want at most %d", path, ErrHeaderTooLarge, f.size, maxHeader)
	}
	text := make([]byte, f.size)
	if _, err := io.ReadFull(f.f, text); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	ix, err := parseIndex(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return ix, nil
}

func parseIndex(text []byte) (*index, error) {
	if !utf8.Valid(text) {
		return nil, ErrHeaderUTF8
	}
	ix := &index{}
	s := &scanner{b: text}
	err := s.object(func(key string) error {
		switch key {
		case "weight_map":
			ix.weightMap = map[string]string{}
			return s.object(func(name string) error {
				shard, err := s.str()
				if err != nil {
					return fmt.Errorf("weight_map: tensor %s: %w", clip(name), err)
				}
				if shard == "" || shard == "." || shard == ".." || strings.ContainsAny(shard, "/\\:\x00") {
					return fmt.Errorf("weight_map: tensor %s: %w: found %s", clip(name), ErrShardName, clip(shard))
				}
				ix.weightMap[name] = shard
				return nil
			})
		case "metadata":
			return s.object(func(key string) (err error) {
				if key != "total_size" {
					return s.skip(0)
				}
				ix.totalSize, err = s.number()
				return err
			})
		}
		ix.unknown = note(ix.unknown, key)
		return s.skip(0)
	})
	if err != nil {
		return nil, err
	}
	if ix.weightMap == nil {
		return nil, s.errorf("no weight_map")
	}
	return ix, s.end()
}

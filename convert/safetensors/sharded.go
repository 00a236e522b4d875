package safetensors

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// WriteSharded writes tensors to the folder dir, which must exist, in n shards
// of about the same size, model-00001-of-0000N.safetensors, and their index;
// one shard is model.safetensors without an index. Tensors stay in the order
// of specs from shard to shard. fill must write the data of a tensor to w; it
// is called for one after the other. If anything fails, dir has no new file.
func WriteSharded(dir string, n int, specs []Spec, metadata map[string]string, fill func(s Spec, w io.Writer) error) (err error) {
	shards, total, err := split(specs, n)
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	var writers []*Writer
	defer func() {
		for _, w := range writers {
			w.Abort()
			if err != nil && w.done {
				os.Remove(w.path)
			}
		}
	}()
	index := fmt.Appendf(nil, "{\n  \"metadata\": {\n    \"total_size\": %d\n  },\n  \"weight_map\": {", total)
	sep := "\n    "
	for i, shard := range shards {
		name := singleName
		if len(shards) > 1 {
			name = fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, len(shards))
		}
		w, err := Create(filepath.Join(dir, name), shard, metadata)
		if err != nil {
			return err
		}
		writers = append(writers, w)
		for _, s := range w.Specs() {
			before := w.off
			if err := fill(s, w); err != nil {
				return err
			}
			if want, _ := s.Size(); w.off-before != want {
				return fmt.Errorf("%s: tensor %s: %d bytes written, want %d", w.path, clip(s.Name), w.off-before, want)
			}
			index = appendString(append(index, sep...), s.Name)
			index = appendString(append(index, ": "...), name)
			sep = ",\n    "
		}
		if err := w.finish(); err != nil {
			return err
		}
	}
	for _, w := range writers {
		if err := w.publish(); err != nil {
			return err
		}
	}
	if len(shards) == 1 {
		return nil
	}
	return writeFile(filepath.Join(dir, indexName), append(index, "\n  }\n}\n"...))
}

// split cuts specs into n runs, none empty, of about the same number of bytes.
func split(specs []Spec, n int) (shards [][]Spec, total int64, err error) {
	if n < 1 || n > max(1, len(specs)) || n > 99999 {
		return nil, 0, fmt.Errorf("%d shards asked for, must be 1 to the number of tensors, %d", n, len(specs))
	}
	ends := make([]int64, len(specs))
	seen := map[string]bool{}
	for i, s := range specs {
		size, err := s.Size()
		if err != nil {
			return nil, 0, err
		}
		if seen[s.Name] {
			return nil, 0, fmt.Errorf("tensor %s: %w", clip(s.Name), ErrDuplicateKey)
		}
		seen[s.Name] = true
		if total += size; total < 0 {
			return nil, 0, fmt.Errorf("tensor %s: %w: the checkpoint would be too large", clip(s.Name), ErrOverflow)
		}
		ends[i] = total
	}
	from := 0
	for i := range n {
		to := len(specs)
		if i < n-1 {
			to = from + 1
			// Take what ends nearer to the cut, and leave a tensor for each later shard.
			cut := total / int64(n) * int64(i+1)
			for to < len(specs)-(n-1-i) && ends[to]-cut <= cut-ends[to-1] {
				to++
			}
		}
		shards = append(shards, specs[from:to])
		from = to
	}
	return shards, total, nil
}

// writeFile replaces path by data in one step.
func writeFile(path string, data []byte) error {
	w := &Writer{path: path}
	var err error
	if w.file, err = createTemp(path); err != nil {
		return err
	}
	if _, err = w.file.Write(data); err == nil {
		err = w.file.Sync()
	}
	if err != nil {
		w.Abort()
		return err
	}
	return w.publish()
}

package safetensors

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"qpt/internal/outfile"
)

// WriteSharded writes tensors to the folder dir, which must exist, in n shards
// of about the same size, model-00001-of-0000N.safetensors, and their index;
// one shard is model.safetensors without an index. Tensors stay in the order
// of specs from shard to shard. fill must write the data of a tensor to w; it
// is called for one after the other, and a tensor is in memory while it is written. If anything fails, dir has no new file.
func WriteSharded(dir string, n int, specs []Spec, metadata map[string]string, fill func(s Spec, w io.Writer) error) (err error) {
	shards, total, err := split(specs, n)
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	var files []*outfile.File
	var done []string
	defer func() {
		for _, f := range files {
			f.Abort()
		}
		if err != nil {
			for _, path := range done {
				os.Remove(path)
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
		f, err := writeShard(filepath.Join(dir, name), shard, metadata, fill)
		if err != nil {
			return err
		}
		files = append(files, f)
		for _, s := range shard {
			index = appendString(append(index, sep...), s.Name)
			index = appendString(append(index, ": "...), name)
			sep = ",\n    "
		}
	}
	for _, f := range files {
		path := f.Path()
		if err := f.Commit(); err != nil {
			return err
		}
		done = append(done, path)
	}
	if len(shards) == 1 {
		return nil
	}
	return outfile.Write(filepath.Join(dir, indexName), append(index, "\n  }\n}\n"...))
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

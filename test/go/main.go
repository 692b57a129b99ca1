// Reads a log with Go's own transparency-log code, which shares nothing with ours: opens the checkpoint with the vkey,
// reads every tile and entry bundle over HTTP, proves that every entry is included, and that the log has grown from its
// first half. Exits with 1 and says why when anything does not hold.
//
//	GO111MODULE=off GOPATH=/usr/share/gocode go build -o tlog-reader main.go
//	[TLOG_TOKEN_FILE=token] tlog-reader http://127.0.0.1:8091/ledger VKEY
package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	height    = 8
	width     = 1 << height
	maxBundle = width * (2 + 0xffff)
)

// remote is a log's read side: its address, and the token that bundles may need.
type remote struct {
	url, token string
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: tlog-reader URL VKEY")
		os.Exit(2)
	}
	log := &remote{url: os.Args[1], token: readToken()}
	size, err := log.verify(os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, "tlog-reader:", err)
		os.Exit(1)
	}
	fmt.Printf("%d entries are in the tree\n", size)
}

func readToken() string {
	path := os.Getenv("TLOG_TOKEN_FILE")
	if path == "" {
		return ""
	}
	text, err := os.ReadFile(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, "tlog-reader:", err)
		os.Exit(2)
	}
	return strings.TrimSpace(string(text))
}

func (r *remote) verify(vkey string) (int64, error) {
	tree, err := r.checkpoint(vkey)
	if err != nil {
		return 0, err
	}
	// TileHashReader authenticates each tile against the root before it gives a hash away.
	hashes := tlog.TileHashReader(tree, &tiles{remote: r, seen: map[string][]byte{}})
	for index := int64(0); index*width < tree.N; index++ {
		if err := r.verifyBundle(tree, hashes, index); err != nil {
			return 0, err
		}
	}
	return tree.N, verifyGrowth(tree, hashes)
}

// checkpoint opens the signed note: origin, size and root, and no line more.
func (r *remote) checkpoint(vkey string) (tlog.Tree, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return tlog.Tree{}, err
	}
	text, err := r.get("checkpoint", 1<<17)
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open(text, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		return tlog.Tree{}, fmt.Errorf("the checkpoint is not one of %s", verifier.Name())
	}
	var tree tlog.Tree
	if _, err := fmt.Sscanf(lines[1], "%d", &tree.N); err != nil {
		return tlog.Tree{}, err
	}
	tree.Hash, err = tlog.ParseHash(lines[2])
	return tree, err
}

// verifyBundle proves each entry of a bundle by itself, as anyone who holds a receipt does.
func (r *remote) verifyBundle(tree tlog.Tree, hashes tlog.HashReader, index int64) error {
	count := tree.N - index*width
	if count > width {
		count = width
	}
	bundle, err := r.get(tilePath("entries", index, count), maxBundle)
	if err != nil {
		return err
	}
	for n := index * width; n < index*width+count; n++ {
		entry, rest, err := nextEntry(bundle)
		if err != nil {
			return err
		}
		bundle = rest
		proof, err := tlog.ProveRecord(tree.N, n, hashes)
		if err != nil {
			return err
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, n, tlog.RecordHash(entry)); err != nil {
			return fmt.Errorf("entry %d: %v", n, err)
		}
	}
	if len(bundle) != 0 {
		return fmt.Errorf("bundle %d goes on behind its last entry", index)
	}
	return nil
}

func nextEntry(bundle []byte) (entry, rest []byte, err error) {
	if len(bundle) < 2 {
		return nil, nil, fmt.Errorf("a bundle ends too early")
	}
	end := 2 + int(binary.BigEndian.Uint16(bundle))
	if len(bundle) < end {
		return nil, nil, fmt.Errorf("a bundle ends within an entry")
	}
	return bundle[2:end], bundle[end:], nil
}

func verifyGrowth(tree tlog.Tree, hashes tlog.HashReader) error {
	old := (tree.N + 1) / 2
	oldHash, err := tlog.TreeHash(old, hashes)
	if err != nil {
		return err
	}
	proof, err := tlog.ProveTree(tree.N, old, hashes)
	if err != nil {
		return err
	}
	return tlog.CheckTree(proof, tree.N, tree.Hash, old, oldHash)
}

// tiles is a tlog.TileReader. All tiles of a test fit into memory.
type tiles struct {
	remote *remote
	seen   map[string][]byte
}

func (t *tiles) Height() int { return height }

func (t *tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func (t *tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	all := make([][]byte, len(wanted))
	for i, tile := range wanted {
		path := tilePath(fmt.Sprint(tile.L), tile.N, int64(tile.W))
		if t.seen[path] == nil {
			bytes, err := t.remote.get(path, width*tlog.HashSize)
			if err != nil {
				return nil, err
			}
			t.seen[path] = bytes
		}
		all[i] = t.seen[path]
	}
	return all, nil
}

// tilePath is the path of C2SP tlog-tiles. tlog.Tile.Path has the height in it, which tlog-tiles has not.
func tilePath(level string, index, count int64) string {
	path := fmt.Sprintf("%03d", index%1000)
	for index >= 1000 {
		index /= 1000
		path = fmt.Sprintf("x%03d/%s", index%1000, path)
	}
	if count < width {
		path = fmt.Sprintf("%s.p/%d", path, count)
	}
	return "tile/" + level + "/" + path
}

func (r *remote) get(path string, max int64) ([]byte, error) {
	request, err := http.NewRequest("GET", r.url+"/"+path, nil)
	if err != nil {
		return nil, err
	}
	if r.token != "" && strings.HasPrefix(path, "tile/entries/") {
		request.Header.Set("Authorization", "Bearer "+r.token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, response.Status)
	}
	return io.ReadAll(io.LimitReader(response.Body, max+1))
}

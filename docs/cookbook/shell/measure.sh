# Compresses the numbers up to $1 at level $2, and says how large they were and how small they are.
before=$(seq "$1" | wc -c)
after=$(seq "$1" | gzip "-$2" | wc -c)
echo "bytes before: $before, bytes after: $after"

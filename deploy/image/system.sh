#!/bin/sh
# What the last stage needs outside its Python environment: a user, folders, CUDA's libraries.
set -eu
if ! getent passwd 1000 > /dev/null; then
    echo 'hardtower:x:1000:1000::/home/hardtower:/bin/sh' >> /etc/passwd
    echo 'hardtower:x:1000:' >> /etc/group
fi
# Group 0 may write as well: some clusters run every container under a user id of their own choice.
# Kubeflow's launcher lays artifacts under the last three.
for folder in /home/hardtower /gcs /minio /s3; do
    install -d -o 1000 -g 0 -m 0775 "$folder"
done
# Of the gpu extra; the driver itself comes from the node.
for library in /opt/hardtower/env/lib/python3.*/site-packages/nvidia/*/lib; do
    if [ -d "$library" ]; then
        echo "$library" >> /etc/ld.so.conf.d/hardtower-nvidia.conf
    fi
done
ldconfig
